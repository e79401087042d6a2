/* What the ranks of a step send each other, without the step: buckets of gradients to their owners, who add them up,
 * and the weights back to all, by the calls that a training makes (Sources/CMPI).
 * usage: mpirun -n RANKS messages PARAMETERS REPETITIONS; a line on rank 0. */
#include "CMPI.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { bucket = 1 << 21, flights = 3, rank_limit = 1024 };

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

struct parts {
    int counts[rank_limit], offsets[rank_limit];
    /* Nothing of a rank's own is sent. */
    int sent_counts[rank_limit], incoming_counts[rank_limit], incoming_offsets[rank_limit];
};

static void cut(struct parts *parts, int count, int rank, int ranks) {
    for (int r = 0; r < ranks; r++) {
        long from = (long)count * r / ranks, to = (long)count * (r + 1) / ranks;
        parts->offsets[r] = (int)from;
        parts->counts[r] = (int)(to - from);
    }
    for (int r = 0; r < ranks; r++) {
        parts->sent_counts[r] = r == rank ? 0 : parts->counts[r];
        parts->incoming_counts[r] = r == rank ? 0 : parts->counts[rank];
        parts->incoming_offsets[r] = (r > rank ? r - 1 : r) * parts->counts[rank];
    }
}

static void add_up(float *own, const float *incoming, int count, int others) {
    for (int r = 0; r < others; r++)
        for (int i = 0; i < count; i++) own[i] += incoming[(size_t)r * count + i];
}

static void barrier(void) {
    double own = 0, all[rank_limit];
    qat_mpi_request request = NULL;
    qat_mpi_gather_doubles(&own, 1, all, &request);
    qat_mpi_wait(&request);
}

int main(int argc, char **argv) {
    char message[512];
    int rank, ranks;
    if (argc != 3 || qat_mpi_begin(&rank, &ranks, message, sizeof message) != 0 || ranks > rank_limit) {
        fprintf(stderr, "%s\n", argc != 3 ? "usage: messages PARAMETERS REPETITIONS" : message);
        return 1;
    }
    size_t parameters = strtoull(argv[1], NULL, 10);
    int repetitions = atoi(argv[2]), buckets = (int)((parameters + bucket - 1) / bucket);
    float *values = malloc(parameters * sizeof(float));
    float *room = malloc((size_t)flights * (bucket + 64 * (size_t)ranks) * sizeof(float));
    struct parts *parts = calloc((size_t)buckets, sizeof *parts);
    double *gradients = calloc((size_t)repetitions, sizeof(double));
    double *weights = calloc((size_t)repetitions, sizeof(double));
    if (!values || !room || !parts || !gradients || !weights) return 1;
    for (size_t i = 0; i < parameters; i++) values[i] = 1;
    for (int b = 0; b < buckets; b++) {
        size_t left = parameters - (size_t)b * bucket;
        cut(&parts[b], left < bucket ? (int)left : bucket, rank, ranks);
    }
    for (int repetition = 0; repetition < repetitions; repetition++) {
        qat_mpi_request requests[flights] = {0};
        barrier();
        double start = now();
        for (int b = 0; b < buckets + flights; b++) {
            int done = b - flights, slot = b % flights;
            float *incoming = room + (size_t)slot * (bucket + 64 * (size_t)ranks);
            if (done >= 0) {
                qat_mpi_wait(&requests[slot]);
                add_up(values + (size_t)done * bucket + parts[done].offsets[rank], incoming,
                       parts[done].counts[rank], ranks - 1);
            }
            if (b < buckets)
                qat_mpi_exchange_floats(
                    values + (size_t)b * bucket, parts[b].sent_counts, parts[b].offsets, incoming,
                    parts[b].incoming_counts, parts[b].incoming_offsets, &requests[slot]);
        }
        barrier();
        gradients[repetition] = now() - start;
        start = now();
        for (int b = 0; b < buckets; b++) {
            qat_mpi_request request = NULL;
            qat_mpi_share_floats(
                values + (size_t)b * bucket, parts[b].counts[rank], parts[b].counts, parts[b].offsets,
                &request);
            qat_mpi_wait(&request);
        }
        barrier();
        weights[repetition] = now() - start;
    }
    qsort(gradients, (size_t)repetitions, sizeof(double), ascending);
    qsort(weights, (size_t)repetitions, sizeof(double), ascending);
    if (rank == 0)
        printf("%d ranks: each sends %.1f MB of gradients in %.3f s (median %.3f) and as much of weights in %.3f s "
               "(median %.3f)\n",
               ranks, 4e-6 * (double)parameters * (ranks - 1) / ranks, gradients[0],
               gradients[repetitions / 2], weights[0], weights[repetitions / 2]);
    qat_mpi_end();
    return 0;
}
