target triple = "x86_64-unknown-linux-gnu"

define i64 @row_sums(ptr %buffers, ptr %sizes, i64 %lo, i64 %hi, ptr %scratch) #0 {
entry:
  %a = load ptr, ptr %buffers, align 8
  %.2 = getelementptr ptr, ptr %buffers, i64 1
  %c = load ptr, ptr %.2, align 8
  %n = load i64, ptr %sizes, align 8
  %.5 = icmp slt i64 %lo, %hi
  br i1 %.5, label %for.row, label %end.row
for.row:
  %row = phi i64 [ %lo, %entry ], [ %row.next, %end ]
  %.6 = icmp slt i64 0, %n
  br i1 %.6, label %then, label %end
then:
  %.7 = call i64 @llvm.smax.i64(i64 %n, i64 0)
  %.8 = ashr i64 %.7, 6
  %bound = mul i64 %.8, 64
  %fixed = mul i64 %row, %n
  %.11 = icmp slt i64 0, %bound
  br i1 %.11, label %then.1, label %end.1
then.1:
  br label %for.block
for.block:
  %block = phi i64 [ 0, %then.1 ], [ %block.next, %end.2 ]
  %total_lanes = phi <64 x float> [ splat (float -0.0), %then.1 ], [ %total_lanes.3, %end.2 ]
  %total_lanes_lost = phi <64 x float> [ splat (float -0.0), %then.1 ], [ %total_lanes_lost.1, %end.2 ]
  %total_lanes_total = phi <64 x float> [ splat (float -0.0), %then.1 ], [ %total_lanes_total.1, %end.2 ]
  %.12 = add i64 %block, 2048
  %last = call i64 @llvm.smin.i64(i64 %.12, i64 %bound)
  %.14 = icmp slt i64 %block, %last
  br i1 %.14, label %for.col, label %end.col
for.col:
  %col = phi i64 [ %block, %for.block ], [ %col.next, %for.col ]
  %total_lanes.1 = phi <64 x float> [ %total_lanes, %for.block ], [ %.18, %for.col ]
  %.15 = getelementptr float, ptr %a, i64 %fixed
  %.16 = getelementptr float, ptr %.15, i64 %col
  %.17 = load <64 x float>, ptr %.16, align 4
  %.18 = fadd <64 x float> %total_lanes.1, %.17
  %col.sum = add nsw i64 %col, 64
  %col.next = call i64 @llvm.expect.i64(i64 %col.sum, i64 0)
  %col.more = icmp slt i64 %col.next, %last
  br i1 %col.more, label %for.col, label %end.col
end.col:
  %total_lanes.2 = phi <64 x float> [ %total_lanes, %for.block ], [ %.18, %for.col ]
  %.19 = icmp slt i64 %last, %bound
  br i1 %.19, label %then.2, label %end.2
then.2:
  %total_lanes_new = fadd <64 x float> %total_lanes_total, %total_lanes.2
  %total_lanes_part = fsub <64 x float> %total_lanes_new, %total_lanes_total
  %.22 = fsub <64 x float> %total_lanes_new, %total_lanes_part
  %.23 = fsub <64 x float> %total_lanes_total, %.22
  %.24 = fsub <64 x float> %total_lanes.2, %total_lanes_part
  %.25 = fadd <64 x float> %.23, %.24
  %.26 = fadd <64 x float> %total_lanes_lost, %.25
  br label %end.2
end.2:
  %total_lanes_lost.1 = phi <64 x float> [ %total_lanes_lost, %end.col ], [ %.26, %then.2 ]
  %total_lanes_total.1 = phi <64 x float> [ %total_lanes_total, %end.col ], [ %total_lanes_new, %then.2 ]
  %total_lanes.3 = phi <64 x float> [ %total_lanes.2, %end.col ], [ splat (float -0.0), %then.2 ]
  %block.sum = add nsw i64 %block, 2048
  %block.next = call i64 @llvm.expect.i64(i64 %block.sum, i64 0)
  %block.more = icmp slt i64 %block.next, %bound
  br i1 %block.more, label %for.block, label %end.block
end.block:
  %.27 = fsub <64 x float> %total_lanes_total.1, %total_lanes_total.1
  %.28 = fcmp oeq <64 x float> %.27, splat (float 0.0)
  %.29 = fcmp une <64 x float> %total_lanes_lost.1, splat (float 0.0)
  %.30 = and <64 x i1> %.28, %.29
  %.31 = fadd <64 x float> %total_lanes_total.1, %total_lanes_lost.1
  %.32 = select <64 x i1> %.30, <64 x float> %.31, <64 x float> %total_lanes_total.1
  %.33 = fadd <64 x float> %total_lanes.3, %.32
  %.34 = shufflevector <64 x float> %.33, <64 x float> %.33, <32 x i32> <i32 0, i32 1, i32 2, i32 3, i32 4, i32 5, i32 6, i32 7, i32 8, i32 9, i32 10, i32 11, i32 12, i32 13, i32 14, i32 15, i32 16, i32 17, i32 18, i32 19, i32 20, i32 21, i32 22, i32 23, i32 24, i32 25, i32 26, i32 27, i32 28, i32 29, i32 30, i32 31>
  %.35 = shufflevector <64 x float> %.33, <64 x float> %.33, <32 x i32> <i32 32, i32 33, i32 34, i32 35, i32 36, i32 37, i32 38, i32 39, i32 40, i32 41, i32 42, i32 43, i32 44, i32 45, i32 46, i32 47, i32 48, i32 49, i32 50, i32 51, i32 52, i32 53, i32 54, i32 55, i32 56, i32 57, i32 58, i32 59, i32 60, i32 61, i32 62, i32 63>
  %.36 = fadd <32 x float> %.34, %.35
  %.37 = shufflevector <32 x float> %.36, <32 x float> %.36, <16 x i32> <i32 0, i32 1, i32 2, i32 3, i32 4, i32 5, i32 6, i32 7, i32 8, i32 9, i32 10, i32 11, i32 12, i32 13, i32 14, i32 15>
  %.38 = shufflevector <32 x float> %.36, <32 x float> %.36, <16 x i32> <i32 16, i32 17, i32 18, i32 19, i32 20, i32 21, i32 22, i32 23, i32 24, i32 25, i32 26, i32 27, i32 28, i32 29, i32 30, i32 31>
  %.39 = fadd <16 x float> %.37, %.38
  br label %end.1
end.1:
  %total_rest = phi <16 x float> [ splat (float -0.0), %then ], [ %.39, %end.block ]
  %.40 = icmp slt i64 %bound, %n
  br i1 %.40, label %for.col.1, label %end.col.1
for.col.1:
  %col.1 = phi i64 [ %bound, %end.1 ], [ %col.next.1, %for.col.1 ]
  %total_rest.1 = phi <16 x float> [ %total_rest, %end.1 ], [ %.50, %for.col.1 ]
  %.41 = sub i64 %n, %col.1
  %.42 = trunc i64 %.41 to i32
  %.43 = insertelement <16 x i32> poison, i32 %.42, i64 0
  %.44 = shufflevector <16 x i32> %.43, <16 x i32> poison, <16 x i32> zeroinitializer
  %rest = icmp slt <16 x i32> <i32 0, i32 1, i32 2, i32 3, i32 4, i32 5, i32 6, i32 7, i32 8, i32 9, i32 10, i32 11, i32 12, i32 13, i32 14, i32 15>, %.44
  %.46 = getelementptr float, ptr %a, i64 %fixed
  %.47 = getelementptr float, ptr %.46, i64 %col.1
  %.48 = call <16 x float> @llvm.masked.load.v16f32.p0(ptr %.47, i32 4, <16 x i1> %rest, <16 x float> zeroinitializer)
  %.49 = fadd <16 x float> %total_rest.1, %.48
  %.50 = select <16 x i1> %rest, <16 x float> %.49, <16 x float> %total_rest.1
  %col.sum.1 = add nsw i64 %col.1, 16
  %col.next.1 = call i64 @llvm.expect.i64(i64 %col.sum.1, i64 0)
  %col.more.1 = icmp slt i64 %col.next.1, %n
  br i1 %col.more.1, label %for.col.1, label %end.col.1
end.col.1:
  %total_rest.2 = phi <16 x float> [ %total_rest, %end.1 ], [ %.50, %for.col.1 ]
  %.51 = shufflevector <16 x float> %total_rest.2, <16 x float> poison, <8 x i32> <i32 0, i32 1, i32 2, i32 3, i32 4, i32 5, i32 6, i32 7>
  %.52 = shufflevector <16 x float> %total_rest.2, <16 x float> poison, <8 x i32> <i32 8, i32 9, i32 10, i32 11, i32 12, i32 13, i32 14, i32 15>
  %.53 = fadd <8 x float> %.51, %.52
  %.54 = shufflevector <8 x float> %.53, <8 x float> poison, <4 x i32> <i32 0, i32 1, i32 2, i32 3>
  %.55 = shufflevector <8 x float> %.53, <8 x float> poison, <4 x i32> <i32 4, i32 5, i32 6, i32 7>
  %.56 = fadd <4 x float> %.54, %.55
  %.57 = shufflevector <4 x float> %.56, <4 x float> poison, <2 x i32> <i32 0, i32 1>
  %.58 = shufflevector <4 x float> %.56, <4 x float> poison, <2 x i32> <i32 2, i32 3>
  %.59 = fadd <2 x float> %.57, %.58
  %.60 = extractelement <2 x float> %.59, i64 0
  %.61 = extractelement <2 x float> %.59, i64 1
  %.62 = fadd float %.60, %.61
  %.63 = fadd float 0.0, %.62
  br label %end
end:
  %total = phi float [ 0.0, %for.row ], [ %.63, %end.col.1 ]
  %.64 = getelementptr float, ptr %c, i64 %row
  store float %total, ptr %.64, align 4
  %row.sum = add nsw i64 %row, 1
  %row.next = call i64 @llvm.expect.i64(i64 %row.sum, i64 0)
  %row.more = icmp slt i64 %row.next, %hi
  br i1 %row.more, label %for.row, label %end.row
end.row:
  ret i64 0
}

declare <16 x float> @llvm.masked.load.v16f32.p0(ptr, i32, <16 x i1>, <16 x float>)

declare i64 @llvm.expect.i64(i64, i64)

declare i64 @llvm.smax.i64(i64, i64)

declare i64 @llvm.smin.i64(i64, i64)

attributes #0 = { nounwind "prefer-vector-width"="512" "min-legal-vector-width"="512" }
!0 = !{i32 1}

!1 = !{!"branch_weights", i32 1, i32 1000}
