#define _GNU_SOURCE
#include "CMPI.h"
#include "open_mpi.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* A process is one rank once. */
static struct qat_open_mpi mpi;

static int load(char *message, size_t size) {
    /* Open MPI's own plugins look for its symbols among the global ones. */
    void *library = dlopen("libmpi.so.40", RTLD_NOW | RTLD_GLOBAL);
    if (!library) {
        snprintf(message, size, "Open MPI 4 is not installed here (Debian: libopenmpi3): %s", dlerror());
        return -1;
    }
#define QAT_MPI_LOAD(name, parameters) \
    *(void **)&mpi.name = dlsym(library, "MPI_" #name); \
    if (!mpi.name) { \
        snprintf(message, size, "libmpi.so.40 has no MPI_" #name "; Open MPI 4 is needed"); \
        return -1; \
    }
    QAT_MPI_FUNCTIONS(QAT_MPI_LOAD)
#undef QAT_MPI_LOAD
#define QAT_MPI_LOAD(type, name) \
    mpi.name = dlsym(library, #name); \
    if (!mpi.name) { \
        snprintf(message, size, "libmpi.so.40 has no " #name "; Open MPI 4 is needed"); \
        return -1; \
    }
    QAT_MPI_HANDLES(QAT_MPI_LOAD)
#undef QAT_MPI_LOAD
    char version[4 * qat_mpi_version_room] = "";
    int length = 0;
    mpi.Get_library_version(version, &length);
    if (strncmp(version, "Open MPI v4.", 12) != 0) {
        version[80] = 0;
        snprintf(message, size, "libmpi.so.40 is %s; Open MPI 4 is needed", version);
        return -1;
    }
    return 0;
}

int qat_mpi_begin(int *rank, int *count, char *message, size_t message_size) {
    if (load(message, message_size) != 0) return -1;
    int provided = -1;
    /* The thread that becomes a rank makes all calls. */
    if (mpi.Init_thread(NULL, NULL, qat_mpi_thread_funneled, &provided) != 0) {
        snprintf(message, message_size, "MPI_Init_thread failed");
        return -1;
    }
    if (provided < qat_mpi_thread_funneled) {
        snprintf(message, message_size, "Open MPI is built without threads");
        return -1;
    }
    mpi.Comm_rank(mpi.ompi_mpi_comm_world, rank);
    mpi.Comm_size(mpi.ompi_mpi_comm_world, count);
    return 0;
}

void qat_mpi_end(void) { mpi.Finalize(); }

void qat_mpi_abort(int status) { mpi.Abort(mpi.ompi_mpi_comm_world, status); }

int qat_mpi_test(qat_mpi_request *request) {
    if (!*request) return 1;
    int is_done = 0;
    mpi.Test(request, &is_done, NULL);
    if (is_done) *request = NULL;
    return is_done;
}

void qat_mpi_wait(qat_mpi_request *request) {
    const struct timespec rest = {0, 20000};
    for (int look = 0; !qat_mpi_test(request); look++)
        if (look > 500) nanosleep(&rest, NULL);
}

void qat_mpi_broadcast(void *bytes, int count, qat_mpi_request *request) {
    mpi.Ibcast(bytes, count, mpi.ompi_mpi_byte, 0, mpi.ompi_mpi_comm_world, request);
}

void qat_mpi_gather_doubles(const double *own, int count, double *all, qat_mpi_request *request) {
    mpi.Iallgather(
        own, count, mpi.ompi_mpi_double, all, count, mpi.ompi_mpi_double, mpi.ompi_mpi_comm_world,
        request);
}

void qat_mpi_exchange_floats(
    const float *values, const int *counts, const int *offsets,
    float *incoming, const int *incoming_counts, const int *incoming_offsets,
    qat_mpi_request *request) {
    mpi.Ialltoallv(
        values, counts, offsets, mpi.ompi_mpi_float, incoming, incoming_counts, incoming_offsets,
        mpi.ompi_mpi_float, mpi.ompi_mpi_comm_world, request);
}

void qat_mpi_share_floats(
    float *values, int count, const int *counts, const int *offsets, qat_mpi_request *request) {
    mpi.Iallgatherv(
        QAT_MPI_IN_PLACE, count, mpi.ompi_mpi_float, values, counts, offsets, mpi.ompi_mpi_float,
        mpi.ompi_mpi_comm_world, request);
}

void qat_mpi_collect_bytes(
    int rank, void *bytes, void *own, int count, const int *counts, const int *offsets,
    qat_mpi_request *request) {
    mpi.Igatherv(
        rank == 0 ? QAT_MPI_IN_PLACE : own, count, mpi.ompi_mpi_byte, bytes, counts, offsets,
        mpi.ompi_mpi_byte, 0, mpi.ompi_mpi_comm_world, request);
}

void qat_mpi_spread_bytes(
    int rank, const void *bytes, void *own, int count, const int *counts, const int *offsets,
    qat_mpi_request *request) {
    mpi.Iscatterv(
        bytes, counts, offsets, mpi.ompi_mpi_byte, rank == 0 ? QAT_MPI_IN_PLACE : own, count,
        mpi.ompi_mpi_byte, 0, mpi.ompi_mpi_comm_world, request);
}
