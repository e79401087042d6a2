#ifndef QAT_SANDBOX_INTERNAL_H
#define QAT_SANDBOX_INTERNAL_H

#include "CSandbox.h"

#ifdef __linux__
#include <sys/types.h>

/* Everything here runs between clone and execve in a copy of a process of many threads: it only makes system
 * calls. Functions of the library that take locks, allocate or tell other threads (setuid does) are not called. */

/* What the child is handed by its parent. */
typedef struct {
    const qat_sandbox_plan *plan;
    /* Descriptors of the parent's making, all above 2. */
    int input, output, errors, status;
    /* The parent itself: readable when it has ended. */
    int parent;
    uid_t outer_user;
    gid_t outer_group;
    int landlock_version;
} qat_sandbox_child;

/* The child's life up to execve; never returns. */
_Noreturn void qat_sandbox_enter(const qat_sandbox_child *child);

/* Makes a root folder of the readable paths and a bounded scratch folder, and enters it. 0, or errno, with the
 * step. The working folder is the scratch folder then. */
int qat_sandbox_make_root(const qat_sandbox_plan *plan, qat_sandbox_step *step);

/* Restricts this process to what the plan lets it read and to its working folder. 0 or errno. */
int qat_sandbox_restrict_files(const qat_sandbox_plan *plan, int version);

/* Restricts this process's system calls. 0 or errno. */
int qat_sandbox_restrict_calls(void);

/* Devices that a program may open. */
extern const char *const qat_sandbox_devices[];

#endif
#endif
