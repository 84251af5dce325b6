#!/bin/sh
# avx2.sh COMMAND...: runs it as on a processor that has AVX2 and no AVX-512. PoCL compiles for one, from which quern takes the
# profile cpu-avx2; `limit`, OpenBLAS and FAISS are told. KeOps 2.3 compiles with -O3 alone, unless CXXFLAGS says more.
export POCL_LLVM_CPU_NAME=haswell POCL_KERNELLIB_NAME=avx2
export BENCH_LIMIT=avx2 OPENBLAS_CORETYPE=Haswell FAISS_OPT_LEVEL=AVX2
exec "$@"
