#pragma once
#include <cblas.h>

// LAPACK's Fortran symbols, which OpenBLAS holds too: Cholesky factorization, and the inverse from
// the factor. Matrices are column-major; `lda` is the distance of columns.
void dpotrf_(const char *uplo, const blasint *n, double *a, const blasint *lda, blasint *info);
void dpotri_(const char *uplo, const blasint *n, double *a, const blasint *lda, blasint *info);
