#ifndef QAT_CMPI_H
#define QAT_CMPI_H

#include <stddef.h>
#include <stdint.h>

/* Message passing by Open MPI 4, whose library is loaded when a process becomes a rank and not before: nothing
 * is built against it, and only processes that a launcher starts need it.
 *
 * One thread at a time may call. Messages are sentences, cut off at the end of their room. Counts and
 * displacements are of elements, one of each for every rank; they and the buffers stay as they are until the
 * request is finished. What fails later than qat_mpi_begin ends all ranks, as MPI has it by default. */

/* Loads the library and becomes one of the ranks: 0, or -1 with what is wrong. */
int qat_mpi_begin(int *rank, int *count, char *message, size_t message_size);

/* Leaves; all ranks have to. */
void qat_mpi_end(void);

/* Ends all ranks at once. */
void qat_mpi_abort(int status);

/* What is under way; NULL is nothing. */
typedef void *qat_mpi_request;

/* Gives the library time for what is under way; whether a request is finished. */
int qat_mpi_test(qat_mpi_request *request);
/* Waits; after some 100 microseconds the processor is left to others in between. */
void qat_mpi_wait(qat_mpi_request *request);

/* Bytes of rank 0 for all others. */
void qat_mpi_broadcast(void *bytes, int count, qat_mpi_request *request);

/* `own` doubles of each rank, behind one another in `all`. */
void qat_mpi_gather_doubles(const double *own, int count, double *all, qat_mpi_request *request);

/* Of `values`, the part of each rank goes there; of each rank, what it has for this one comes into `incoming`. A
 * rank's counts of itself are 0, and `incoming_counts` of the others all the same, the length of this rank's part. */
void qat_mpi_exchange_floats(
    const float *values, const int *counts, const int *offsets,
    float *incoming, const int *incoming_counts, const int *incoming_offsets,
    qat_mpi_request *request);

/* Each rank's part of `values` becomes known to all, in place. */
void qat_mpi_share_floats(
    float *values, int count, const int *counts, const int *offsets, qat_mpi_request *request);

/* Each rank's part of `bytes` comes to rank 0, in place; `own` is the part of this rank. */
void qat_mpi_collect_bytes(
    int rank, void *bytes, void *own, int count, const int *counts, const int *offsets,
    qat_mpi_request *request);

/* The other way round. */
void qat_mpi_spread_bytes(
    int rank, const void *bytes, void *own, int count, const int *counts, const int *offsets,
    qat_mpi_request *request);

#endif
