target triple = "nvptx64-nvidia-cuda"

@exchange = internal addrspace(3) global [32 x [2 x i64]] undef, align 8

define ptx_kernel void @row_sums(ptr %buffers, ptr %sizes, i64 %lo, i64 %hi, ptr %all, i64 %stride) #0 {
entry:
  %.1 = call i32 @llvm.nvvm.read.ptx.sreg.tid.x()
  %tid = zext i32 %.1 to i64
  %.3 = call i32 @llvm.nvvm.read.ptx.sreg.ntid.x()
  %ntid = zext i32 %.3 to i64
  %.5 = call i32 @llvm.nvvm.read.ptx.sreg.ctaid.x()
  %block = zext i32 %.5 to i64
  %.7 = call i32 @llvm.nvvm.read.ptx.sreg.nctaid.x()
  %blocks = zext i32 %.7 to i64
  %offset = mul i64 %block, %stride
  %scratch = getelementptr i8, ptr %all, i64 %offset
  %a = load ptr, ptr %buffers, align 8
  %.10 = getelementptr ptr, ptr %buffers, i64 1
  %c = load ptr, ptr %.10, align 8
  %n = load i64, ptr %sizes, align 8
  %.13 = addrspacecast ptr %a to ptr addrspace(1)
  %.14 = addrspacecast ptr addrspace(1) %.13 to ptr
  %.15 = addrspacecast ptr %c to ptr addrspace(1)
  %.16 = addrspacecast ptr addrspace(1) %.15 to ptr
  %.17 = add i64 %lo, %block
  %.18 = icmp slt i64 %.17, %hi
  br i1 %.18, label %for.row, label %end.row
for.row:
  %row = phi i64 [ %.17, %entry ], [ %row.next, %stored ]
  %.19 = icmp slt i64 %tid, %n
  br i1 %.19, label %for.col, label %end.col
for.col:
  %col = phi i64 [ %tid, %for.row ], [ %col.next, %for.col ]
  %total = phi float [ -0.0, %for.row ], [ %.24, %for.col ]
  %.20 = mul i64 %row, %n
  %.21 = add i64 %.20, %col
  %.22 = getelementptr float, ptr %.14, i64 %.21
  %.23 = load float, ptr %.22, align 4
  %.24 = fadd float %total, %.23
  %col.sum = add nsw i64 %col, %ntid
  %col.next = call i64 @llvm.expect.i64(i64 %col.sum, i64 0)
  %col.more = icmp slt i64 %col.next, %n
  br i1 %col.more, label %for.col, label %end.col
end.col:
  %total.1 = phi float [ -0.0, %for.row ], [ %.24, %for.col ]
  %.25 = bitcast float %total.1 to i32
  %.26 = call i32 @llvm.nvvm.shfl.sync.bfly.i32(i32 -1, i32 %.25, i32 16, i32 31)
  %.27 = bitcast i32 %.26 to float
  %.28 = fadd float %total.1, %.27
  %.29 = bitcast float %.28 to i32
  %.30 = call i32 @llvm.nvvm.shfl.sync.bfly.i32(i32 -1, i32 %.29, i32 8, i32 31)
  %.31 = bitcast i32 %.30 to float
  %.32 = fadd float %.28, %.31
  %.33 = bitcast float %.32 to i32
  %.34 = call i32 @llvm.nvvm.shfl.sync.bfly.i32(i32 -1, i32 %.33, i32 4, i32 31)
  %.35 = bitcast i32 %.34 to float
  %.36 = fadd float %.32, %.35
  %.37 = bitcast float %.36 to i32
  %.38 = call i32 @llvm.nvvm.shfl.sync.bfly.i32(i32 -1, i32 %.37, i32 2, i32 31)
  %.39 = bitcast i32 %.38 to float
  %.40 = fadd float %.36, %.39
  %.41 = bitcast float %.40 to i32
  %.42 = call i32 @llvm.nvvm.shfl.sync.bfly.i32(i32 -1, i32 %.41, i32 1, i32 31)
  %.43 = bitcast i32 %.42 to float
  %.44 = fadd float %.40, %.43
  %.45 = and i64 %tid, 31
  %.46 = lshr i64 %tid, 5
  %.47 = lshr i64 %ntid, 5
  %.48 = getelementptr [2 x i64], ptr addrspace(3) @exchange, i64 %.46, i64 0
  store float %.44, ptr addrspace(3) %.48, align 8
  call void @llvm.nvvm.barrier.cta.sync.aligned.all(i32 0)
  %.49 = icmp ult i64 %.45, %.47
  %.50 = getelementptr [2 x i64], ptr addrspace(3) @exchange, i64 %.45, i64 0
  %shared = load float, ptr addrspace(3) %.50, align 8
  %.51 = select i1 %.49, float %shared, float -0.0
  call void @llvm.nvvm.barrier.cta.sync.aligned.all(i32 0)
  %.52 = bitcast float %.51 to i32
  %.53 = call i32 @llvm.nvvm.shfl.sync.bfly.i32(i32 -1, i32 %.52, i32 16, i32 31)
  %.54 = bitcast i32 %.53 to float
  %.55 = fadd float %.51, %.54
  %.56 = bitcast float %.55 to i32
  %.57 = call i32 @llvm.nvvm.shfl.sync.bfly.i32(i32 -1, i32 %.56, i32 8, i32 31)
  %.58 = bitcast i32 %.57 to float
  %.59 = fadd float %.55, %.58
  %.60 = bitcast float %.59 to i32
  %.61 = call i32 @llvm.nvvm.shfl.sync.bfly.i32(i32 -1, i32 %.60, i32 4, i32 31)
  %.62 = bitcast i32 %.61 to float
  %.63 = fadd float %.59, %.62
  %.64 = bitcast float %.63 to i32
  %.65 = call i32 @llvm.nvvm.shfl.sync.bfly.i32(i32 -1, i32 %.64, i32 2, i32 31)
  %.66 = bitcast i32 %.65 to float
  %.67 = fadd float %.63, %.66
  %.68 = bitcast float %.67 to i32
  %.69 = call i32 @llvm.nvvm.shfl.sync.bfly.i32(i32 -1, i32 %.68, i32 1, i32 31)
  %.70 = bitcast i32 %.69 to float
  %.71 = fadd float %.67, %.70
  %.72 = fadd float 0.0, %.71
  %.73 = icmp eq i64 %tid, 0
  br i1 %.73, label %one, label %stored
one:
  %.74 = getelementptr float, ptr %.16, i64 %row
  store float %.72, ptr %.74, align 4
  br label %stored
stored:
  %row.sum = add nsw i64 %row, %blocks
  %row.next = call i64 @llvm.expect.i64(i64 %row.sum, i64 0)
  %row.more = icmp slt i64 %row.next, %hi
  br i1 %row.more, label %for.row, label %end.row
end.row:
  ret void
}

declare i32 @llvm.nvvm.read.ptx.sreg.ctaid.x()

declare i32 @llvm.nvvm.read.ptx.sreg.nctaid.x()

declare i32 @llvm.nvvm.read.ptx.sreg.ntid.x()

declare i32 @llvm.nvvm.read.ptx.sreg.tid.x()

declare i32 @llvm.nvvm.shfl.sync.bfly.i32(i32, i32, i32, i32)

declare i64 @llvm.expect.i64(i64, i64)

declare void @llvm.nvvm.barrier.cta.sync.aligned.all(i32)

attributes #0 = { nounwind  }
!0 = !{i32 1}

!1 = !{!"branch_weights", i32 1, i32 1000}
