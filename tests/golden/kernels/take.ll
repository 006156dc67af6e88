target triple = "x86_64-unknown-linux-gnu"

define i64 @take(ptr %buffers, ptr %sizes, i64 %lo, i64 %hi, ptr %scratch) #0 {
entry:
  %at = load ptr, ptr %buffers, align 8
  %.2 = getelementptr ptr, ptr %buffers, i64 1
  %a = load ptr, ptr %.2, align 8
  %.4 = getelementptr ptr, ptr %buffers, i64 2
  %c = load ptr, ptr %.4, align 8
  %n = load i64, ptr %sizes, align 8
  %.7 = call i64 @llvm.smax.i64(i64 %n, i64 0)
  %.8 = ashr i64 %.7, 5
  %bound = mul i64 %.8, 32
  %.10 = icmp slt i64 0, %bound
  br i1 %.10, label %for.col, label %end.col
for.col:
  %col = phi i64 [ 0, %entry ], [ %col.next, %end ]
  %.11 = getelementptr i64, ptr %at, i64 %col
  %found = load <32 x i64>, ptr %.11, align 8
  %.13 = icmp slt <32 x i64> %found, splat (i64 0)
  %.14 = insertelement <32 x i64> poison, i64 %n, i64 0
  %.15 = shufflevector <32 x i64> %.14, <32 x i64> poison, <32 x i32> zeroinitializer
  %.16 = icmp sge <32 x i64> %found, %.15
  %where = or <32 x i1> %.13, %.16
  %.18 = call i1 @llvm.vector.reduce.or.v32i1(<32 x i1> %where)
  br i1 %.18, label %then, label %end
then:
  %.19 = select <32 x i1> %where, <32 x i64> <i64 0, i64 1, i64 2, i64 3, i64 4, i64 5, i64 6, i64 7, i64 8, i64 9, i64 10, i64 11, i64 12, i64 13, i64 14, i64 15, i64 16, i64 17, i64 18, i64 19, i64 20, i64 21, i64 22, i64 23, i64 24, i64 25, i64 26, i64 27, i64 28, i64 29, i64 30, i64 31>, <32 x i64> splat (i64 32)
  %first = call i64 @llvm.vector.reduce.smin.v32i64(<32 x i64> %.19)
  %.21 = insertelement <32 x i64> poison, i64 %first, i64 0
  %.22 = shufflevector <32 x i64> %.21, <32 x i64> poison, <32 x i32> zeroinitializer
  %chosen = icmp eq <32 x i64> <i64 0, i64 1, i64 2, i64 3, i64 4, i64 5, i64 6, i64 7, i64 8, i64 9, i64 10, i64 11, i64 12, i64 13, i64 14, i64 15, i64 16, i64 17, i64 18, i64 19, i64 20, i64 21, i64 22, i64 23, i64 24, i64 25, i64 26, i64 27, i64 28, i64 29, i64 30, i64 31>, %.22
  %.24 = insertelement <32 x i64> poison, i64 %col, i64 0
  %.25 = shufflevector <32 x i64> %.24, <32 x i64> poison, <32 x i32> zeroinitializer
  %.26 = add <32 x i64> %.25, <i64 0, i64 1, i64 2, i64 3, i64 4, i64 5, i64 6, i64 7, i64 8, i64 9, i64 10, i64 11, i64 12, i64 13, i64 14, i64 15, i64 16, i64 17, i64 18, i64 19, i64 20, i64 21, i64 22, i64 23, i64 24, i64 25, i64 26, i64 27, i64 28, i64 29, i64 30, i64 31>
  %.27 = select <32 x i1> %chosen, <32 x i64> %.26, <32 x i64> splat (i64 -9223372036854775808)
  %.28 = call i64 @llvm.vector.reduce.smax.v32i64(<32 x i64> %.27)
  store i64 %.28, ptr %scratch, align 8
  %.29 = select <32 x i1> %chosen, <32 x i64> %found, <32 x i64> splat (i64 -9223372036854775808)
  %.30 = call i64 @llvm.vector.reduce.smax.v32i64(<32 x i64> %.29)
  %.31 = getelementptr i64, ptr %scratch, i64 1
  store i64 %.30, ptr %.31, align 8
  ret i64 5
end:
  %.32 = getelementptr float, ptr %a, <32 x i64> %found
  %.33 = call <32 x float> @llvm.masked.gather.v32f32.v32p0(<32 x ptr> %.32, i32 4, <32 x i1> splat (i1 true), <32 x float> zeroinitializer)
  %.34 = getelementptr float, ptr %c, i64 %col
  store <32 x float> %.33, ptr %.34, align 4
  %col.sum = add nsw i64 %col, 32
  %col.next = call i64 @llvm.expect.i64(i64 %col.sum, i64 0)
  %col.more = icmp slt i64 %col.next, %bound
  br i1 %col.more, label %for.col, label %end.col
end.col:
  %.35 = icmp slt i64 %bound, %n
  br i1 %.35, label %for.col.1, label %end.col.1
for.col.1:
  %col.1 = phi i64 [ %bound, %end.col ], [ %col.next.1, %end.1 ]
  %.36 = sub i64 %n, %col.1
  %.37 = trunc i64 %.36 to i32
  %.38 = insertelement <16 x i32> poison, i32 %.37, i64 0
  %.39 = shufflevector <16 x i32> %.38, <16 x i32> poison, <16 x i32> zeroinitializer
  %rest = icmp slt <16 x i32> <i32 0, i32 1, i32 2, i32 3, i32 4, i32 5, i32 6, i32 7, i32 8, i32 9, i32 10, i32 11, i32 12, i32 13, i32 14, i32 15>, %.39
  %.41 = getelementptr i64, ptr %at, i64 %col.1
  %found.1 = call <16 x i64> @llvm.masked.load.v16i64.p0(ptr %.41, i32 8, <16 x i1> %rest, <16 x i64> zeroinitializer)
  %.43 = icmp slt <16 x i64> %found.1, splat (i64 0)
  %.44 = insertelement <16 x i64> poison, i64 %n, i64 0
  %.45 = shufflevector <16 x i64> %.44, <16 x i64> poison, <16 x i32> zeroinitializer
  %.46 = icmp sge <16 x i64> %found.1, %.45
  %where2 = or <16 x i1> %.43, %.46
  %mask = and <16 x i1> %rest, %where2
  %.49 = call i1 @llvm.vector.reduce.or.v16i1(<16 x i1> %mask)
  br i1 %.49, label %then.1, label %end.1
then.1:
  %.50 = select <16 x i1> %mask, <16 x i64> <i64 0, i64 1, i64 2, i64 3, i64 4, i64 5, i64 6, i64 7, i64 8, i64 9, i64 10, i64 11, i64 12, i64 13, i64 14, i64 15>, <16 x i64> splat (i64 16)
  %first2 = call i64 @llvm.vector.reduce.smin.v16i64(<16 x i64> %.50)
  %.52 = insertelement <16 x i64> poison, i64 %first2, i64 0
  %.53 = shufflevector <16 x i64> %.52, <16 x i64> poison, <16 x i32> zeroinitializer
  %chosen2 = icmp eq <16 x i64> <i64 0, i64 1, i64 2, i64 3, i64 4, i64 5, i64 6, i64 7, i64 8, i64 9, i64 10, i64 11, i64 12, i64 13, i64 14, i64 15>, %.53
  %.55 = insertelement <16 x i64> poison, i64 %col.1, i64 0
  %.56 = shufflevector <16 x i64> %.55, <16 x i64> poison, <16 x i32> zeroinitializer
  %.57 = add <16 x i64> %.56, <i64 0, i64 1, i64 2, i64 3, i64 4, i64 5, i64 6, i64 7, i64 8, i64 9, i64 10, i64 11, i64 12, i64 13, i64 14, i64 15>
  %.58 = select <16 x i1> %chosen2, <16 x i64> %.57, <16 x i64> splat (i64 -9223372036854775808)
  %.59 = call i64 @llvm.vector.reduce.smax.v16i64(<16 x i64> %.58)
  store i64 %.59, ptr %scratch, align 8
  %.60 = select <16 x i1> %chosen2, <16 x i64> %found.1, <16 x i64> splat (i64 -9223372036854775808)
  %.61 = call i64 @llvm.vector.reduce.smax.v16i64(<16 x i64> %.60)
  %.62 = getelementptr i64, ptr %scratch, i64 1
  store i64 %.61, ptr %.62, align 8
  ret i64 5
end.1:
  %.63 = getelementptr float, ptr %a, <16 x i64> %found.1
  %.64 = call <16 x float> @llvm.masked.gather.v16f32.v16p0(<16 x ptr> %.63, i32 4, <16 x i1> %rest, <16 x float> zeroinitializer)
  %.65 = getelementptr float, ptr %c, i64 %col.1
  call void @llvm.masked.store.v16f32.p0(<16 x float> %.64, ptr %.65, i32 4, <16 x i1> %rest)
  %col.sum.1 = add nsw i64 %col.1, 16
  %col.next.1 = call i64 @llvm.expect.i64(i64 %col.sum.1, i64 0)
  %col.more.1 = icmp slt i64 %col.next.1, %n
  br i1 %col.more.1, label %for.col.1, label %end.col.1
end.col.1:
  ret i64 0
}

declare <16 x float> @llvm.masked.gather.v16f32.v16p0(<16 x ptr>, i32, <16 x i1>, <16 x float>)

declare <16 x i64> @llvm.masked.load.v16i64.p0(ptr, i32, <16 x i1>, <16 x i64>)

declare <32 x float> @llvm.masked.gather.v32f32.v32p0(<32 x ptr>, i32, <32 x i1>, <32 x float>)

declare i1 @llvm.vector.reduce.or.v16i1(<16 x i1>)

declare i1 @llvm.vector.reduce.or.v32i1(<32 x i1>)

declare i64 @llvm.expect.i64(i64, i64)

declare i64 @llvm.smax.i64(i64, i64)

declare i64 @llvm.vector.reduce.smax.v16i64(<16 x i64>)

declare i64 @llvm.vector.reduce.smax.v32i64(<32 x i64>)

declare i64 @llvm.vector.reduce.smin.v16i64(<16 x i64>)

declare i64 @llvm.vector.reduce.smin.v32i64(<32 x i64>)

declare void @llvm.masked.store.v16f32.p0(<16 x float>, ptr, i32, <16 x i1>)

attributes #0 = { nounwind "prefer-vector-width"="512" "min-legal-vector-width"="512" }
!0 = !{i32 1}

!1 = !{!"branch_weights", i32 1, i32 1000}
