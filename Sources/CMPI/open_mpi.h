#ifndef QAT_OPEN_MPI_H
#define QAT_OPEN_MPI_H

#include <stddef.h>

/* What is used of Open MPI 4's binary interface, as its mpi.h has it: handles are pointers to structures that
 * nobody looks into, those that are predefined are the addresses of the library's variables of these names.
 * Tests/MPITests/signatures.c compares all this with an installed mpi.h. */

#ifndef QAT_MPI_TYPES
typedef void *qat_mpi_comm;
typedef void *qat_mpi_type;
typedef void *qat_mpi_pending;
typedef void qat_mpi_status;
#endif

enum { qat_mpi_thread_funneled = 1, qat_mpi_version_room = 256 };

#define QAT_MPI_IN_PLACE ((void *)1)

#define QAT_MPI_HANDLES(one) \
    one(qat_mpi_comm, ompi_mpi_comm_world) one(qat_mpi_type, ompi_mpi_byte) \
    one(qat_mpi_type, ompi_mpi_float) one(qat_mpi_type, ompi_mpi_double)

#define QAT_MPI_FUNCTIONS(one) \
    one(Get_library_version, (char *version, int *length)) \
    one(Init_thread, (int *argc, char ***argv, int required, int *provided)) \
    one(Finalize, (void)) \
    one(Abort, (qat_mpi_comm comm, int status)) \
    one(Comm_rank, (qat_mpi_comm comm, int *rank)) \
    one(Comm_size, (qat_mpi_comm comm, int *size)) \
    one(Test, (qat_mpi_pending *request, int *flag, qat_mpi_status *status)) \
    one(Ibcast, (void *buffer, int count, qat_mpi_type type, int root, qat_mpi_comm comm, \
                 qat_mpi_pending *request)) \
    one(Iallgather, (const void *send, int send_count, qat_mpi_type send_type, void *receive, \
                     int receive_count, qat_mpi_type receive_type, qat_mpi_comm comm, \
                     qat_mpi_pending *request)) \
    one(Iallgatherv, (const void *send, int send_count, qat_mpi_type send_type, void *receive, \
                      const int *counts, const int *offsets, qat_mpi_type receive_type, \
                      qat_mpi_comm comm, qat_mpi_pending *request)) \
    one(Ialltoallv, (const void *send, const int *send_counts, const int *send_offsets, \
                     qat_mpi_type send_type, void *receive, const int *receive_counts, \
                     const int *receive_offsets, qat_mpi_type receive_type, qat_mpi_comm comm, \
                     qat_mpi_pending *request)) \
    one(Igatherv, (const void *send, int send_count, qat_mpi_type send_type, void *receive, \
                   const int *counts, const int *offsets, qat_mpi_type receive_type, int root, \
                   qat_mpi_comm comm, qat_mpi_pending *request)) \
    one(Iscatterv, (const void *send, const int *counts, const int *offsets, \
                    qat_mpi_type send_type, void *receive, int receive_count, \
                    qat_mpi_type receive_type, int root, qat_mpi_comm comm, \
                    qat_mpi_pending *request))

/* The library once it is loaded. */
struct qat_open_mpi {
#define QAT_MPI_FIELD(name, parameters) int(*name) parameters;
    QAT_MPI_FUNCTIONS(QAT_MPI_FIELD)
#undef QAT_MPI_FIELD
#define QAT_MPI_FIELD(type, name) type name;
    QAT_MPI_HANDLES(QAT_MPI_FIELD)
#undef QAT_MPI_FIELD
};

#endif
