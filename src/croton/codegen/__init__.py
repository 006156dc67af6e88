"""From the kernel language to native code: LLVM IR as text, vector math, targets."""
