target triple = "x86_64-unknown-linux-gnu"

define i64 @masked(ptr %buffers, ptr %sizes, i64 %lo, i64 %hi, ptr %scratch) #0 {
entry:
  %a = load ptr, ptr %buffers, align 8
  %.2 = getelementptr ptr, ptr %buffers, i64 1
  %b = load ptr, ptr %.2, align 8
  %.4 = getelementptr ptr, ptr %buffers, i64 2
  %c = load ptr, ptr %.4, align 8
  %.6 = getelementptr ptr, ptr %buffers, i64 3
  %q = load ptr, ptr %.6, align 8
  %n = load i64, ptr %sizes, align 8
  %.9 = call i64 @llvm.smax.i64(i64 %n, i64 0)
  %.10 = ashr i64 %.9, 5
  %bound = mul i64 %.10, 32
  %.12 = icmp slt i64 0, %bound
  br i1 %.12, label %for.col, label %end.col
for.col:
  %col = phi i64 [ 0, %entry ], [ %col.next, %for.col ]
  %.13 = sub i64 %n, %col
  %.14 = getelementptr float, ptr %a, i64 %.13
  %.15 = getelementptr float, ptr %.14, i64 -31
  %.16 = load <32 x float>, ptr %.15, align 4
  %x = shufflevector <32 x float> %.16, <32 x float> %.16, <32 x i32> <i32 31, i32 30, i32 29, i32 28, i32 27, i32 26, i32 25, i32 24, i32 23, i32 22, i32 21, i32 20, i32 19, i32 18, i32 17, i32 16, i32 15, i32 14, i32 13, i32 12, i32 11, i32 10, i32 9, i32 8, i32 7, i32 6, i32 5, i32 4, i32 3, i32 2, i32 1, i32 0>
  %where = fcmp ogt <32 x float> %x, splat (float 0.0)
  %.19 = getelementptr float, ptr %c, i64 %col
  call void @llvm.masked.store.v32f32.p0(<32 x float> %x, ptr %.19, i32 4, <32 x i1> %where)
  %mask = xor <32 x i1> %where, splat (i1 true)
  %.21 = mul i64 %col, 2
  %.22 = insertelement <32 x i64> poison, i64 %.21, i64 0
  %.23 = shufflevector <32 x i64> %.22, <32 x i64> poison, <32 x i32> zeroinitializer
  %.24 = mul <32 x i64> <i64 0, i64 1, i64 2, i64 3, i64 4, i64 5, i64 6, i64 7, i64 8, i64 9, i64 10, i64 11, i64 12, i64 13, i64 14, i64 15, i64 16, i64 17, i64 18, i64 19, i64 20, i64 21, i64 22, i64 23, i64 24, i64 25, i64 26, i64 27, i64 28, i64 29, i64 30, i64 31>, splat (i64 2)
  %.25 = add <32 x i64> %.23, %.24
  %.26 = getelementptr float, ptr %b, <32 x i64> %.25
  %.27 = call <32 x float> @llvm.masked.gather.v32f32.v32p0(<32 x ptr> %.26, i32 4, <32 x i1> %mask, <32 x float> zeroinitializer)
  call void @llvm.masked.store.v32f32.p0(<32 x float> %.27, ptr %.19, i32 4, <32 x i1> %mask)
  %.28 = zext <32 x i1> %where to <32 x i8>
  %.29 = getelementptr i8, ptr %q, i64 %col
  store <32 x i8> %.28, ptr %.29, align 1
  %col.sum = add nsw i64 %col, 32
  %col.next = call i64 @llvm.expect.i64(i64 %col.sum, i64 0)
  %col.more = icmp slt i64 %col.next, %bound
  br i1 %col.more, label %for.col, label %end.col
end.col:
  %.30 = icmp slt i64 %bound, %n
  br i1 %.30, label %for.col.1, label %end.col.1
for.col.1:
  %col.1 = phi i64 [ %bound, %end.col ], [ %col.next.1, %for.col.1 ]
  %.31 = sub i64 %n, %col.1
  %.32 = trunc i64 %.31 to i32
  %.33 = insertelement <16 x i32> poison, i32 %.32, i64 0
  %.34 = shufflevector <16 x i32> %.33, <16 x i32> poison, <16 x i32> zeroinitializer
  %rest = icmp slt <16 x i32> <i32 0, i32 1, i32 2, i32 3, i32 4, i32 5, i32 6, i32 7, i32 8, i32 9, i32 10, i32 11, i32 12, i32 13, i32 14, i32 15>, %.34
  %.36 = getelementptr float, ptr %a, i64 %.31
  %.37 = getelementptr float, ptr %.36, i64 -15
  %.38 = shufflevector <16 x i1> %rest, <16 x i1> %rest, <16 x i32> <i32 15, i32 14, i32 13, i32 12, i32 11, i32 10, i32 9, i32 8, i32 7, i32 6, i32 5, i32 4, i32 3, i32 2, i32 1, i32 0>
  %.39 = call <16 x float> @llvm.masked.load.v16f32.p0(ptr %.37, i32 4, <16 x i1> %.38, <16 x float> zeroinitializer)
  %x.1 = shufflevector <16 x float> %.39, <16 x float> %.39, <16 x i32> <i32 15, i32 14, i32 13, i32 12, i32 11, i32 10, i32 9, i32 8, i32 7, i32 6, i32 5, i32 4, i32 3, i32 2, i32 1, i32 0>
  %where2 = fcmp ogt <16 x float> %x.1, splat (float 0.0)
  %mask2 = and <16 x i1> %rest, %where2
  %.43 = getelementptr float, ptr %c, i64 %col.1
  call void @llvm.masked.store.v16f32.p0(<16 x float> %x.1, ptr %.43, i32 4, <16 x i1> %mask2)
  %mask3 = xor <16 x i1> %where2, splat (i1 true)
  %mask4 = and <16 x i1> %rest, %mask3
  %.46 = mul i64 %col.1, 2
  %.47 = insertelement <16 x i64> poison, i64 %.46, i64 0
  %.48 = shufflevector <16 x i64> %.47, <16 x i64> poison, <16 x i32> zeroinitializer
  %.49 = mul <16 x i64> <i64 0, i64 1, i64 2, i64 3, i64 4, i64 5, i64 6, i64 7, i64 8, i64 9, i64 10, i64 11, i64 12, i64 13, i64 14, i64 15>, splat (i64 2)
  %.50 = add <16 x i64> %.48, %.49
  %.51 = getelementptr float, ptr %b, <16 x i64> %.50
  %.52 = call <16 x float> @llvm.masked.gather.v16f32.v16p0(<16 x ptr> %.51, i32 4, <16 x i1> %mask4, <16 x float> zeroinitializer)
  call void @llvm.masked.store.v16f32.p0(<16 x float> %.52, ptr %.43, i32 4, <16 x i1> %mask4)
  %.53 = zext <16 x i1> %where2 to <16 x i8>
  %.54 = getelementptr i8, ptr %q, i64 %col.1
  call void @llvm.masked.store.v16i8.p0(<16 x i8> %.53, ptr %.54, i32 1, <16 x i1> %rest)
  %col.sum.1 = add nsw i64 %col.1, 16
  %col.next.1 = call i64 @llvm.expect.i64(i64 %col.sum.1, i64 0)
  %col.more.1 = icmp slt i64 %col.next.1, %n
  br i1 %col.more.1, label %for.col.1, label %end.col.1
end.col.1:
  ret i64 0
}

declare <16 x float> @llvm.masked.gather.v16f32.v16p0(<16 x ptr>, i32, <16 x i1>, <16 x float>)

declare <16 x float> @llvm.masked.load.v16f32.p0(ptr, i32, <16 x i1>, <16 x float>)

declare <32 x float> @llvm.masked.gather.v32f32.v32p0(<32 x ptr>, i32, <32 x i1>, <32 x float>)

declare i64 @llvm.expect.i64(i64, i64)

declare i64 @llvm.smax.i64(i64, i64)

declare void @llvm.masked.store.v16f32.p0(<16 x float>, ptr, i32, <16 x i1>)

declare void @llvm.masked.store.v16i8.p0(<16 x i8>, ptr, i32, <16 x i1>)

declare void @llvm.masked.store.v32f32.p0(<32 x float>, ptr, i32, <32 x i1>)

attributes #0 = { nounwind "prefer-vector-width"="512" "min-legal-vector-width"="512" }
!0 = !{i32 1}

!1 = !{!"branch_weights", i32 1, i32 1000}
