target triple = "x86_64-unknown-linux-gnu"

define i64 @blocks(ptr %buffers, ptr %sizes, i64 %lo, i64 %hi, ptr %scratch) #0 {
entry:
  %a = load ptr, ptr %buffers, align 8
  %.2 = getelementptr ptr, ptr %buffers, i64 1
  %c = load ptr, ptr %.2, align 8
  %n = load i64, ptr %sizes, align 8
  %.5 = icmp slt i64 %lo, %hi
  br i1 %.5, label %for.row, label %end.row
for.row:
  %row = phi i64 [ %lo, %entry ], [ %row.next, %end ]
  %part = getelementptr i8, ptr %scratch, i64 64
  %.7 = mul i64 %row, %n
  %.8 = getelementptr float, ptr %a, i64 %.7
  call void @llvm.prefetch.p0(ptr %.8, i32 0, i32 3, i32 1)
  %.9 = load float, ptr %.8, align 4
  store float %.9, ptr %part, align 4
  %.10 = getelementptr float, ptr %.8, i64 1
  %.11 = load float, ptr %.10, align 4
  %.12 = getelementptr float, ptr %part, i64 1
  store float %.11, ptr %.12, align 4
  %.13 = getelementptr float, ptr %.8, i64 2
  %.14 = load float, ptr %.13, align 4
  %.15 = getelementptr float, ptr %part, i64 2
  store float %.14, ptr %.15, align 4
  %.16 = icmp slt i64 0, %n
  br i1 %.16, label %then, label %end
then:
  %.17 = call i64 @llvm.smax.i64(i64 %n, i64 0)
  %.18 = ashr i64 %.17, 5
  %bound = mul i64 %.18, 32
  %.20 = load float, ptr %part, align 4
  %.21 = icmp eq i64 %n, 0
  %.22 = icmp eq i64 %n, -1
  %.23 = or i1 %.21, %.22
  %.24 = select i1 %.23, i64 1, i64 %n
  %.25 = srem i64 %row, %.24
  %.26 = icmp ne i64 %.25, 0
  %.27 = xor i64 %.25, %.24
  %.28 = icmp slt i64 %.27, 0
  %.29 = and i1 %.26, %.28
  %.30 = add i64 %.25, %.24
  %.31 = select i1 %.29, i64 %.30, i64 %.25
  %.32 = sitofp i64 %.31 to float
  %fixed = fmul float %.20, %.32
  %.34 = icmp slt i64 0, %bound
  br i1 %.34, label %for.col, label %end.col
for.col:
  %col = phi i64 [ 0, %then ], [ %col.next, %for.col ]
  %.35 = insertelement <32 x float> poison, float %fixed, i64 0
  %.36 = shufflevector <32 x float> %.35, <32 x float> poison, <32 x i32> zeroinitializer
  %.37 = getelementptr float, ptr %c, i64 %.7
  %.38 = getelementptr float, ptr %.37, i64 %col
  store <32 x float> %.36, ptr %.38, align 4
  %col.sum = add nsw i64 %col, 32
  %col.next = call i64 @llvm.expect.i64(i64 %col.sum, i64 0)
  %col.more = icmp slt i64 %col.next, %bound
  br i1 %col.more, label %for.col, label %end.col
end.col:
  %.39 = icmp slt i64 %bound, %n
  br i1 %.39, label %for.col.1, label %end.col.1
for.col.1:
  %col.1 = phi i64 [ %bound, %end.col ], [ %col.next.1, %for.col.1 ]
  %.40 = sub i64 %n, %col.1
  %.41 = trunc i64 %.40 to i32
  %.42 = insertelement <16 x i32> poison, i32 %.41, i64 0
  %.43 = shufflevector <16 x i32> %.42, <16 x i32> poison, <16 x i32> zeroinitializer
  %rest = icmp slt <16 x i32> <i32 0, i32 1, i32 2, i32 3, i32 4, i32 5, i32 6, i32 7, i32 8, i32 9, i32 10, i32 11, i32 12, i32 13, i32 14, i32 15>, %.43
  %.45 = insertelement <16 x float> poison, float %fixed, i64 0
  %.46 = shufflevector <16 x float> %.45, <16 x float> poison, <16 x i32> zeroinitializer
  %.47 = getelementptr float, ptr %c, i64 %.7
  %.48 = getelementptr float, ptr %.47, i64 %col.1
  call void @llvm.masked.store.v16f32.p0(<16 x float> %.46, ptr %.48, i32 4, <16 x i1> %rest)
  %col.sum.1 = add nsw i64 %col.1, 16
  %col.next.1 = call i64 @llvm.expect.i64(i64 %col.sum.1, i64 0)
  %col.more.1 = icmp slt i64 %col.next.1, %n
  br i1 %col.more.1, label %for.col.1, label %end.col.1
end.col.1:
  br label %end
end:
  %row.sum = add nsw i64 %row, 1
  %row.next = call i64 @llvm.expect.i64(i64 %row.sum, i64 0)
  %row.more = icmp slt i64 %row.next, %hi
  br i1 %row.more, label %for.row, label %end.row
end.row:
  ret i64 0
}

declare i64 @llvm.expect.i64(i64, i64)

declare i64 @llvm.smax.i64(i64, i64)

declare void @llvm.masked.store.v16f32.p0(<16 x float>, ptr, i32, <16 x i1>)

declare void @llvm.prefetch.p0(ptr, i32, i32, i32)

attributes #0 = { nounwind "prefer-vector-width"="512" "min-legal-vector-width"="512" }
!0 = !{i32 1}

!1 = !{!"branch_weights", i32 1, i32 1000}
