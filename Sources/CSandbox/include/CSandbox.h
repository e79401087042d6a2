#ifndef QAT_CSANDBOX_H
#define QAT_CSANDBOX_H

#include <stddef.h>
#include <stdint.h>

/* Runs a program that nobody trusts: one process without a network, without children, with little of the file
 * system, all of it limited. Linux alone (x86-64, arm64); elsewhere every run fails with ENOSYS.
 *
 * What always holds: Landlock, a seccomp filter, no new privileges, resource limits, a limit of time, closed
 * descriptors, a session of its own. The rest is the plan's `namespaces` and `user_id`. */

/* What of the system the process sees. */
typedef enum {
    /* The machine's own; Landlock and the filter alone keep it apart. */
    QAT_SANDBOX_SHARED = 0,
    /* Mount, pid, network, IPC and host name of its own; needs CAP_SYS_ADMIN. */
    QAT_SANDBOX_NAMESPACES = 1,
    /* The same within a user namespace of its own; needs no capability, but a kernel that allows it. */
    QAT_SANDBOX_USER_NAMESPACE = 2,
} qat_sandbox_namespaces;

/* A run. Lists end with NULL; paths are absolute and hold no symbolic link, but for `links`. */
typedef struct {
    /* The program, and what it is given; arguments begin with its name. */
    const char *executable;
    char *const *arguments;
    char *const *environment;
    /* What it may read: folders with all that is in them, files also executed. */
    const char *const *readable;
    /* Symbolic links that the new root needs: path and target in turn. */
    const char *const *links;
    /* An empty folder: its working folder, or, with a root of its own, only where that is mounted. */
    const char *scratch;
    /* What it finds on standard input. */
    const void *input;
    size_t input_count;

    qat_sandbox_namespaces namespaces;
    /* Users to become, before anything of the program runs; negative for no change. */
    int64_t user_id;
    int64_t group_id;

    /* Milliseconds from start to kill. */
    int64_t wall_ms;
    /* Milliseconds of processor time. */
    int64_t cpu_ms;
    int64_t address_space_bytes;
    /* All files of the scratch folder together, and each. */
    int64_t scratch_bytes;
    int64_t scratch_files;
    int64_t open_files;
    /* Standard output and standard error, each; a process that writes more is killed. */
    int64_t output_bytes;
} qat_sandbox_plan;

/* How far the preparation of the process came. */
typedef enum {
    QAT_SANDBOX_READY = 0,
    QAT_SANDBOX_STEP_RESOURCES,
    QAT_SANDBOX_STEP_CLONE,
    QAT_SANDBOX_STEP_USER_MAP,
    QAT_SANDBOX_STEP_MOUNTS,
    QAT_SANDBOX_STEP_READABLE,
    QAT_SANDBOX_STEP_ROOT,
    QAT_SANDBOX_STEP_SCRATCH,
    QAT_SANDBOX_STEP_USER,
    QAT_SANDBOX_STEP_LANDLOCK,
    QAT_SANDBOX_STEP_LIMITS,
    QAT_SANDBOX_STEP_FILTER,
    QAT_SANDBOX_STEP_EXECUTE,
} qat_sandbox_step;

/* Why the process was killed from here. */
typedef enum {
    QAT_SANDBOX_NOT_KILLED = 0,
    QAT_SANDBOX_KILLED_WALL,
    QAT_SANDBOX_KILLED_CPU,
    QAT_SANDBOX_KILLED_OUTPUT,
    QAT_SANDBOX_KILLED_SCRATCH,
} qat_sandbox_kill;

/* How a run ended. */
typedef struct {
    /* READY where the program ran; else what failed before it, and errno. */
    qat_sandbox_step step;
    int error;
    /* Exit status, or -1; signal, or 0. */
    int status;
    int signal;
    qat_sandbox_kill kill;
    int64_t wall_us;
    int64_t cpu_us;
    int64_t peak_bytes;
    size_t output_count;
    size_t error_count;
} qat_sandbox_result;

/* Runs a program to its end and fills `result`. `output` and `errors` hold `output_bytes` each.
 *
 * Blocks the calling thread, which must live until then: the process dies with it. Any number of threads may run
 * programs at the same time, each with a scratch folder of its own. */
void qat_sandbox_run(const qat_sandbox_plan *plan, char *output, char *errors, qat_sandbox_result *result);

/* The version of Landlock that the kernel has: 1 and above, or minus errno. */
int qat_sandbox_landlock_version(void);

/* 0 where the kernel takes seccomp filters that kill a process, on a processor that this was written for; or minus
 * errno. */
int qat_sandbox_filter_support(void);

#endif
