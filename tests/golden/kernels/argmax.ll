target triple = "x86_64-unknown-linux-gnu"

define i64 @argmax(ptr %buffers, ptr %sizes, i64 %lo, i64 %hi, ptr %scratch) #0 {
entry:
  %a = load ptr, ptr %buffers, align 8
  %.2 = getelementptr ptr, ptr %buffers, i64 1
  %where = load ptr, ptr %.2, align 8
  %.4 = load <16 x double>, ptr %a, align 8
  %.5 = fcmp ogt <16 x double> %.4, splat (double 0xFFF0000000000000)
  %.6 = fcmp une <16 x double> %.4, %.4
  %.7 = fcmp oeq <16 x double> splat (double 0xFFF0000000000000), splat (double 0xFFF0000000000000)
  %.8 = and <16 x i1> %.6, %.7
  %.9 = or <16 x i1> %.5, %.8
  %.10 = select <16 x i1> %.9, <16 x i64> <i64 0, i64 1, i64 2, i64 3, i64 4, i64 5, i64 6, i64 7, i64 8, i64 9, i64 10, i64 11, i64 12, i64 13, i64 14, i64 15>, <16 x i64> splat (i64 0)
  %.11 = select <16 x i1> %.9, <16 x double> %.4, <16 x double> splat (double 0xFFF0000000000000)
  %top_half = shufflevector <16 x double> %.11, <16 x double> %.11, <8 x i32> <i32 0, i32 1, i32 2, i32 3, i32 4, i32 5, i32 6, i32 7>
  %top_half2 = shufflevector <16 x double> %.11, <16 x double> %.11, <8 x i32> <i32 8, i32 9, i32 10, i32 11, i32 12, i32 13, i32 14, i32 15>
  %at_half = shufflevector <16 x i64> %.10, <16 x i64> %.10, <8 x i32> <i32 0, i32 1, i32 2, i32 3, i32 4, i32 5, i32 6, i32 7>
  %at_half2 = shufflevector <16 x i64> %.10, <16 x i64> %.10, <8 x i32> <i32 8, i32 9, i32 10, i32 11, i32 12, i32 13, i32 14, i32 15>
  %.16 = fcmp ogt <8 x double> %top_half2, %top_half
  %.17 = fcmp une <8 x double> %top_half2, %top_half2
  %.18 = fcmp une <8 x double> %top_half, %top_half
  %.19 = xor <8 x i1> %.18, splat (i1 true)
  %.20 = and <8 x i1> %.17, %.19
  %.21 = or <8 x i1> %.16, %.20
  %.22 = fcmp oeq <8 x double> %top_half, %top_half2
  %.23 = and <8 x i1> %.18, %.17
  %.24 = or <8 x i1> %.22, %.23
  %.25 = icmp slt <8 x i64> %at_half2, %at_half
  %.26 = and <8 x i1> %.24, %.25
  %better = or <8 x i1> %.21, %.26
  %top_half3 = select <8 x i1> %better, <8 x double> %top_half2, <8 x double> %top_half
  %at_half3 = select <8 x i1> %better, <8 x i64> %at_half2, <8 x i64> %at_half
  %top_half4 = shufflevector <8 x double> %top_half3, <8 x double> %top_half3, <4 x i32> <i32 0, i32 1, i32 2, i32 3>
  %top_half5 = shufflevector <8 x double> %top_half3, <8 x double> %top_half3, <4 x i32> <i32 4, i32 5, i32 6, i32 7>
  %at_half4 = shufflevector <8 x i64> %at_half3, <8 x i64> %at_half3, <4 x i32> <i32 0, i32 1, i32 2, i32 3>
  %at_half5 = shufflevector <8 x i64> %at_half3, <8 x i64> %at_half3, <4 x i32> <i32 4, i32 5, i32 6, i32 7>
  %.34 = fcmp ogt <4 x double> %top_half5, %top_half4
  %.35 = fcmp une <4 x double> %top_half5, %top_half5
  %.36 = fcmp une <4 x double> %top_half4, %top_half4
  %.37 = xor <4 x i1> %.36, splat (i1 true)
  %.38 = and <4 x i1> %.35, %.37
  %.39 = or <4 x i1> %.34, %.38
  %.40 = fcmp oeq <4 x double> %top_half4, %top_half5
  %.41 = and <4 x i1> %.36, %.35
  %.42 = or <4 x i1> %.40, %.41
  %.43 = icmp slt <4 x i64> %at_half5, %at_half4
  %.44 = and <4 x i1> %.42, %.43
  %better2 = or <4 x i1> %.39, %.44
  %top_half6 = select <4 x i1> %better2, <4 x double> %top_half5, <4 x double> %top_half4
  %at_half6 = select <4 x i1> %better2, <4 x i64> %at_half5, <4 x i64> %at_half4
  %top_half7 = shufflevector <4 x double> %top_half6, <4 x double> %top_half6, <2 x i32> <i32 0, i32 1>
  %top_half8 = shufflevector <4 x double> %top_half6, <4 x double> %top_half6, <2 x i32> <i32 2, i32 3>
  %at_half7 = shufflevector <4 x i64> %at_half6, <4 x i64> %at_half6, <2 x i32> <i32 0, i32 1>
  %at_half8 = shufflevector <4 x i64> %at_half6, <4 x i64> %at_half6, <2 x i32> <i32 2, i32 3>
  %.52 = fcmp ogt <2 x double> %top_half8, %top_half7
  %.53 = fcmp une <2 x double> %top_half8, %top_half8
  %.54 = fcmp une <2 x double> %top_half7, %top_half7
  %.55 = xor <2 x i1> %.54, splat (i1 true)
  %.56 = and <2 x i1> %.53, %.55
  %.57 = or <2 x i1> %.52, %.56
  %.58 = fcmp oeq <2 x double> %top_half7, %top_half8
  %.59 = and <2 x i1> %.54, %.53
  %.60 = or <2 x i1> %.58, %.59
  %.61 = icmp slt <2 x i64> %at_half8, %at_half7
  %.62 = and <2 x i1> %.60, %.61
  %better3 = or <2 x i1> %.57, %.62
  %top_half9 = select <2 x i1> %better3, <2 x double> %top_half8, <2 x double> %top_half7
  %at_half9 = select <2 x i1> %better3, <2 x i64> %at_half8, <2 x i64> %at_half7
  %top_half10 = extractelement <2 x double> %top_half9, i64 0
  %top_half11 = extractelement <2 x double> %top_half9, i64 1
  %at_half10 = extractelement <2 x i64> %at_half9, i64 0
  %at_half11 = extractelement <2 x i64> %at_half9, i64 1
  %.70 = fcmp ogt double %top_half11, %top_half10
  %.71 = fcmp une double %top_half11, %top_half11
  %.72 = fcmp une double %top_half10, %top_half10
  %.73 = xor i1 %.72, true
  %.74 = and i1 %.71, %.73
  %.75 = or i1 %.70, %.74
  %.76 = fcmp oeq double %top_half10, %top_half11
  %.77 = and i1 %.72, %.71
  %.78 = or i1 %.76, %.77
  %.79 = icmp slt i64 %at_half11, %at_half10
  %.80 = and i1 %.78, %.79
  %better4 = or i1 %.75, %.80
  %top_half12 = select i1 %better4, double %top_half11, double %top_half10
  %at_half12 = select i1 %better4, i64 %at_half11, i64 %at_half10
  store i64 %at_half12, ptr %where, align 8
  ret i64 0
}

attributes #0 = { nounwind "prefer-vector-width"="512" "min-legal-vector-width"="512" }
!0 = !{i32 1}

!1 = !{!"branch_weights", i32 1, i32 1000}
