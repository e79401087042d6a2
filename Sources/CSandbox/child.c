#define _GNU_SOURCE
#include "sandbox.h"

#ifdef __linux__
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SYS_close_range
#define SYS_close_range 436
#endif

/* Where the parent's pipe for faults is while the rest is prepared. */
enum { STATUS = 3, PARENT = 4, FIRST_CLOSED = 5 };

_Noreturn static void fail(qat_sandbox_step step, int error) {
    const int words[2] = {(int)step, error};
    ssize_t ignored = write(STATUS, words, sizeof words);
    (void)ignored;
    _exit(127);
}

static int write_file(const char *path, const char *text) {
    const int file = open(path, O_WRONLY | O_CLOEXEC);
    if (file < 0) return errno;
    const ssize_t written = write(file, text, strlen(text));
    const int error = written < 0 ? errno : 0;
    close(file);
    return error;
}

/* Standard input, output and error, the pipe for faults, the parent; no other descriptor is left. */
static void arrange_descriptors(const qat_sandbox_child *child) {
    const int wanted[FIRST_CLOSED] = {
        child->input, child->output, child->errors, child->status, child->parent,
    };
    int aside[FIRST_CLOSED], index;
    /* Away from where they go first, so that none overwrites another. */
    for (index = 0; index < FIRST_CLOSED; index++) {
        aside[index] = fcntl(wanted[index], F_DUPFD_CLOEXEC, 16);
        if (aside[index] < 0) _exit(126);
    }
    for (index = 0; index < FIRST_CLOSED; index++) {
        /* The program gets the first three alone. */
        if (dup3(aside[index], index, index < STATUS ? 0 : O_CLOEXEC) < 0) _exit(126);
    }
    if (syscall(SYS_close_range, FIRST_CLOSED, ~0u, 0) != 0) fail(QAT_SANDBOX_STEP_RESOURCES, errno);
}

/* Signals as a new program expects them: the daemon ignores some, and ignoring outlives execve. */
static void reset_signals(void) {
    struct sigaction standard;
    int number;
    memset(&standard, 0, sizeof standard);
    standard.sa_handler = SIG_DFL;
    for (number = 1; number < NSIG; number++) sigaction(number, &standard, NULL);
}

/* Within a user namespace: nobody, who outside is the user that started this. */
static int map_users(const qat_sandbox_child *child) {
    char text[64];
    int error = write_file("/proc/self/setgroups", "deny");
    if (error != 0) return error;
    snprintf(text, sizeof text, "65534 %u 1", (unsigned)child->outer_user);
    if ((error = write_file("/proc/self/uid_map", text)) != 0) return error;
    snprintf(text, sizeof text, "65534 %u 1", (unsigned)child->outer_group);
    return write_file("/proc/self/gid_map", text);
}

/* The folder may lie where its new owner does not come: he stands in it already. */
static int enter_scratch(const qat_sandbox_plan *plan) {
    if (chdir(plan->scratch) != 0) return errno;
    if (plan->user_id < 0) return 0;
    return chown(".", (uid_t)plan->user_id, (gid_t)plan->group_id) == 0 ? 0 : errno;
}

/* The library's setuid tells threads that this copy does not have: system calls alone. */
static int become(int64_t user, int64_t group) {
    if (user >= 0) {
        if (syscall(SYS_setgroups, 0, NULL) != 0) return errno;
        if (syscall(SYS_setresgid, group, group, group) != 0) return errno;
        if (syscall(SYS_setresuid, user, user, user) != 0) return errno;
    }
    return 0;
}

/* Whoever stays root, or is it within a namespace, has no capability from here on. */
static int drop_capabilities(void) {
    const struct {
        uint32_t version;
        int pid;
    } header = {0x20080522, 0};
    const uint32_t none[6] = {0};
    uint32_t held[6] = {1};
    /* Who has none may be denied the call that gives them away. */
    if (syscall(SYS_capget, &header, held) == 0 && memcmp(held, none, sizeof none) == 0) return 0;
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    return syscall(SYS_capset, &header, none) == 0 ? 0 : errno;
}

/* Both limits, never above what holds already. */
static int limit(int resource, int64_t value) {
    struct rlimit both;
    if (syscall(SYS_prlimit64, 0, resource, NULL, &both) != 0) return errno;
    if ((rlim_t)value < both.rlim_max) both.rlim_max = (rlim_t)value;
    both.rlim_cur = both.rlim_max;
    return syscall(SYS_prlimit64, 0, resource, &both, NULL) == 0 ? 0 : errno;
}

static int set_limits(const qat_sandbox_plan *plan) {
    const struct {
        int resource;
        int64_t value;
    } limits[] = {
        /* Counted in ticks, which are a quarter wrong on a busy machine: a second line behind who waits. */
        {RLIMIT_CPU, plan->cpu_ms / 800 + 2},
        {RLIMIT_AS, plan->address_space_bytes},
        {RLIMIT_FSIZE, plan->scratch_bytes},
        {RLIMIT_NOFILE, plan->open_files},
        /* One: this one. Of a user who has others it forbids new ones just as well. */
        {RLIMIT_NPROC, 1},
        /* 0 would still start a machine's collector of dumps; 1 is below the least dump. */
        {RLIMIT_CORE, 1},
        {RLIMIT_STACK, 8 << 20},
        {RLIMIT_MEMLOCK, 0},
        {RLIMIT_MSGQUEUE, 0},
        {RLIMIT_SIGPENDING, 64},
        {RLIMIT_NICE, 0},
        {RLIMIT_RTPRIO, 0},
    };
    for (size_t index = 0; index < sizeof limits / sizeof limits[0]; index++) {
        const int error = limit(limits[index].resource, limits[index].value);
        if (error != 0) return error;
    }
    return 0;
}

/* Ends with the thread that waits for it. The order given is lost where users change: it comes after that. */
static void die_with_parent(void) {
    struct pollfd parent = {.fd = PARENT, .events = POLLIN};
    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    /* It may have ended before. */
    if (poll(&parent, 1, 0) != 0) _exit(125);
}

void qat_sandbox_enter(const qat_sandbox_child *child) {
    const qat_sandbox_plan *plan = child->plan;
    sigset_t none;
    qat_sandbox_step step;
    int error;

    reset_signals();
    arrange_descriptors(child);
    umask(022);
    setsid();
    /* Where memory is short, this is to go, not the job. */
    write_file("/proc/self/oom_score_adj", "1000");
    if (plan->namespaces == QAT_SANDBOX_USER_NAMESPACE && (error = map_users(child)) != 0) {
        fail(QAT_SANDBOX_STEP_USER_MAP, error);
    }
    if (plan->namespaces == QAT_SANDBOX_SHARED) {
        error = enter_scratch(plan);
        if (error != 0) fail(QAT_SANDBOX_STEP_SCRATCH, error);
    } else if ((error = qat_sandbox_make_root(plan, &step)) != 0) {
        fail(step, error);
    }
    umask(077);
    /* Rules are opened files: they are found with the rights of before. */
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) fail(QAT_SANDBOX_STEP_LANDLOCK, errno);
    if ((error = qat_sandbox_restrict_files(plan, child->landlock_version)) != 0) {
        fail(QAT_SANDBOX_STEP_LANDLOCK, error);
    }
    if ((error = become(plan->user_id, plan->group_id)) != 0) fail(QAT_SANDBOX_STEP_USER, error);
    if ((error = drop_capabilities()) != 0) fail(QAT_SANDBOX_STEP_USER, error);
    die_with_parent();
    if ((error = set_limits(plan)) != 0) fail(QAT_SANDBOX_STEP_LIMITS, error);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    if ((error = qat_sandbox_restrict_calls()) != 0) fail(QAT_SANDBOX_STEP_FILTER, error);
    execve(plan->executable, plan->arguments, plan->environment);
    fail(QAT_SANDBOX_STEP_EXECUTE, errno);
}
#endif
