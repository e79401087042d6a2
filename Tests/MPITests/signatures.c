/* Whether what Sources/CMPI/open_mpi.h declares is what an installed Open MPI has: a signature that differs does not
 * compile, a value that differs fails. Run by scripts/check mpi. */
#define _GNU_SOURCE
#include <mpi.h>

#define QAT_MPI_TYPES
typedef MPI_Comm qat_mpi_comm;
typedef MPI_Datatype qat_mpi_type;
typedef MPI_Request qat_mpi_pending;
typedef MPI_Status qat_mpi_status;
#include "open_mpi.h"

#include <dlfcn.h>
#include <stdio.h>

#define QAT_MPI_SAME(name, parameters) int(*same_##name) parameters = MPI_##name;
QAT_MPI_FUNCTIONS(QAT_MPI_SAME)

_Static_assert(OMPI_MAJOR_VERSION == 4, "another Open MPI");
_Static_assert(qat_mpi_thread_funneled == MPI_THREAD_FUNNELED, "MPI_THREAD_FUNNELED");
_Static_assert(qat_mpi_version_room >= MPI_MAX_LIBRARY_VERSION_STRING, "room for a version");
_Static_assert(
    sizeof(MPI_Comm) == sizeof(void *) && sizeof(MPI_Datatype) == sizeof(void *)
        && sizeof(MPI_Request) == sizeof(void *),
    "handles are pointers");

int main(void) {
    void *world = dlsym(RTLD_DEFAULT, "ompi_mpi_comm_world");
    int is_same = world == (void *)MPI_COMM_WORLD
        && dlsym(RTLD_DEFAULT, "ompi_mpi_byte") == (void *)MPI_BYTE
        && dlsym(RTLD_DEFAULT, "ompi_mpi_float") == (void *)MPI_FLOAT
        && dlsym(RTLD_DEFAULT, "ompi_mpi_double") == (void *)MPI_DOUBLE
        && QAT_MPI_IN_PLACE == MPI_IN_PLACE && MPI_STATUS_IGNORE == NULL;
    puts(is_same ? "open_mpi.h is the installed mpi.h's" : "handles differ from mpi.h's");
    return is_same ? 0 : 1;
}
