target triple = "x86_64-unknown-linux-gnu"

define i64 @axpy(ptr %buffers, ptr %sizes, i64 %lo, i64 %hi, ptr %scratch) #0 {
entry:
  %a = load ptr, ptr %buffers, align 8
  %.2 = getelementptr ptr, ptr %buffers, i64 1
  %b = load ptr, ptr %.2, align 8
  %.4 = getelementptr ptr, ptr %buffers, i64 2
  %c = load ptr, ptr %.4, align 8
  %n = load i64, ptr %sizes, align 8
  %.7 = icmp slt i64 0, %n
  br i1 %.7, label %then, label %end
then:
  %.8 = call i64 @llvm.smax.i64(i64 %n, i64 0)
  %.9 = ashr i64 %.8, 5
  %bound = mul i64 %.9, 32
  %fixed = load float, ptr %b, align 4
  %.12 = icmp slt i64 0, %bound
  br i1 %.12, label %for.col, label %end.col
for.col:
  %col = phi i64 [ 0, %then ], [ %col.next, %for.col ]
  %.13 = getelementptr float, ptr %a, i64 %col
  %.14 = load <32 x float>, ptr %.13, align 4
  %.15 = insertelement <32 x float> poison, float %fixed, i64 0
  %.16 = shufflevector <32 x float> %.15, <32 x float> poison, <32 x i32> zeroinitializer
  %.17 = fmul contract <32 x float> %.14, %.16
  %.18 = getelementptr float, ptr %c, i64 %col
  %.19 = load <32 x float>, ptr %.18, align 4
  %.20 = fadd contract <32 x float> %.17, %.19
  store <32 x float> %.20, ptr %.18, align 4
  %col.sum = add nsw i64 %col, 32
  %col.next = call i64 @llvm.expect.i64(i64 %col.sum, i64 0)
  %col.more = icmp slt i64 %col.next, %bound
  br i1 %col.more, label %for.col, label %end.col
end.col:
  %.21 = icmp slt i64 %bound, %n
  br i1 %.21, label %for.col.1, label %end.col.1
for.col.1:
  %col.1 = phi i64 [ %bound, %end.col ], [ %col.next.1, %for.col.1 ]
  %.22 = sub i64 %n, %col.1
  %.23 = trunc i64 %.22 to i32
  %.24 = insertelement <16 x i32> poison, i32 %.23, i64 0
  %.25 = shufflevector <16 x i32> %.24, <16 x i32> poison, <16 x i32> zeroinitializer
  %rest = icmp slt <16 x i32> <i32 0, i32 1, i32 2, i32 3, i32 4, i32 5, i32 6, i32 7, i32 8, i32 9, i32 10, i32 11, i32 12, i32 13, i32 14, i32 15>, %.25
  %.27 = getelementptr float, ptr %a, i64 %col.1
  %.28 = call <16 x float> @llvm.masked.load.v16f32.p0(ptr %.27, i32 4, <16 x i1> %rest, <16 x float> zeroinitializer)
  %.29 = insertelement <16 x float> poison, float %fixed, i64 0
  %.30 = shufflevector <16 x float> %.29, <16 x float> poison, <16 x i32> zeroinitializer
  %.31 = fmul contract <16 x float> %.28, %.30
  %.32 = getelementptr float, ptr %c, i64 %col.1
  %.33 = call <16 x float> @llvm.masked.load.v16f32.p0(ptr %.32, i32 4, <16 x i1> %rest, <16 x float> zeroinitializer)
  %.34 = fadd contract <16 x float> %.31, %.33
  call void @llvm.masked.store.v16f32.p0(<16 x float> %.34, ptr %.32, i32 4, <16 x i1> %rest)
  %col.sum.1 = add nsw i64 %col.1, 16
  %col.next.1 = call i64 @llvm.expect.i64(i64 %col.sum.1, i64 0)
  %col.more.1 = icmp slt i64 %col.next.1, %n
  br i1 %col.more.1, label %for.col.1, label %end.col.1
end.col.1:
  br label %end
end:
  ret i64 0
}

declare <16 x float> @llvm.masked.load.v16f32.p0(ptr, i32, <16 x i1>, <16 x float>)

declare i64 @llvm.expect.i64(i64, i64)

declare i64 @llvm.smax.i64(i64, i64)

declare void @llvm.masked.store.v16f32.p0(<16 x float>, ptr, i32, <16 x i1>)

attributes #0 = { nounwind "prefer-vector-width"="512" "min-legal-vector-width"="512" }
!0 = !{i32 1}

!1 = !{!"branch_weights", i32 1, i32 1000}
