#define _GNU_SOURCE
#include "sandbox.h"

#include <errno.h>

#if defined(__linux__) && (defined(__x86_64__) || defined(__aarch64__))
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <termios.h>
#include <unistd.h>

#ifdef __x86_64__
#define THIS_ARCHITECTURE AUDIT_ARCH_X86_64
#else
#define THIS_ARCHITECTURE AUDIT_ARCH_AARCH64
#endif

#ifndef SYS_clone3
#define SYS_clone3 435
#endif
#ifndef SYS_openat2
#define SYS_openat2 437
#endif
#ifndef SYS_faccessat2
#define SYS_faccessat2 439
#endif

enum { CAPACITY = 384 };

typedef struct {
    struct sock_filter code[CAPACITY];
    unsigned short count;
    int is_full;
} filter;

static void put(filter *f, unsigned short code, uint32_t value, uint8_t yes, uint8_t no) {
    if (f->count == CAPACITY) {
        f->is_full = 1;
        return;
    }
    f->code[f->count++] = (struct sock_filter){code, yes, no, value};
}

static void answer(filter *f, uint32_t action) { put(f, BPF_RET | BPF_K, action, 0, 0); }

static void refuse(filter *f, int error) { answer(f, SECCOMP_RET_ERRNO | (uint32_t)error); }

static void load(filter *f, size_t offset) { put(f, BPF_LD | BPF_W | BPF_ABS, (uint32_t)offset, 0, 0); }

/* The low half of an argument: all that the kernel looks at of those that are filtered. Both processors are
 * little-endian. */
static void load_argument(filter *f, int index) {
    load(f, offsetof(struct seccomp_data, args) + (size_t)index * 8);
}

/* Goes on with the next instruction where the value is `wanted`, and otherwise leaves out `others`. */
static void if_equal(filter *f, uint32_t wanted, uint8_t others) {
    put(f, BPF_JMP | BPF_JEQ | BPF_K, wanted, 0, others);
}

static void allow_call(filter *f, uint32_t number) {
    if_equal(f, number, 1);
    answer(f, SECCOMP_RET_ALLOW);
}

static void refuse_call(filter *f, uint32_t number, int error) {
    if_equal(f, number, 1);
    refuse(f, error);
}

/* Of the calls that take a process: on this one alone. */
static void allow_on_self(filter *f, uint32_t number, uint32_t self) {
    if_equal(f, number, 4);
    load_argument(f, 0);
    if_equal(f, self, 1);
    answer(f, SECCOMP_RET_ALLOW);
    refuse(f, EPERM);
}

/* A file without a name could not be watched, and one that is opened for reading with O_TRUNC is emptied without a
 * question of Landlock before version 3. */
static void allow_open(filter *f, uint32_t number, int flags) {
    const uint32_t nameless = O_TMPFILE & ~O_DIRECTORY;
    if_equal(f, number, 7);
    load_argument(f, flags);
    put(f, BPF_JMP | BPF_JSET | BPF_K, nameless | O_ASYNC, 4, 0);
    put(f, BPF_ALU | BPF_AND | BPF_K, O_TRUNC | O_ACCMODE, 0, 0);
    if_equal(f, O_TRUNC | O_RDONLY, 1);
    refuse(f, EACCES);
    answer(f, SECCOMP_RET_ALLOW);
    refuse(f, EOPNOTSUPP);
}

/* Descriptors send signals to whom F_SETOWN names: neither that nor O_ASYNC. */
static void allow_fcntl(filter *f) {
    static const uint32_t plain[] = {F_DUPFD, F_DUPFD_CLOEXEC, F_GETFD, F_SETFD, F_GETFL};
    enum { PLAIN = sizeof plain / sizeof plain[0] };
    if_equal(f, SYS_fcntl, 1 + 2 * PLAIN + 5);
    load_argument(f, 1);
    for (int index = 0; index < PLAIN; index++) allow_call(f, plain[index]);
    if_equal(f, F_SETFL, 3);
    load_argument(f, 2);
    put(f, BPF_JMP | BPF_JSET | BPF_K, O_ASYNC, 1, 0);
    answer(f, SECCOMP_RET_ALLOW);
    refuse(f, EPERM);
}

/* Calls of which some values of one argument do no harm. */
static void allow_values(
    filter *f, uint32_t number, int argument, const uint32_t *values, uint8_t count, int error
) {
    if_equal(f, number, (uint8_t)(2 + 2 * count));
    load_argument(f, argument);
    for (int index = 0; index < count; index++) allow_call(f, values[index]);
    refuse(f, error);
}

/* What an interpreter does with itself, its memory and its open files. What is missing here is refused: sockets,
 * mounts, traces, keys, BPF, io_uring, namespaces, other processes' priorities and limits, owners, modes and times
 * of files (which Landlock does not ask about), everything newer than this list. */
static const uint16_t allowed[] = {
    SYS_read, SYS_write, SYS_readv, SYS_writev, SYS_pread64, SYS_pwrite64, SYS_lseek, SYS_close,
    SYS_fstat, SYS_statx, SYS_statfs, SYS_fstatfs, SYS_faccessat, SYS_faccessat2, SYS_readlinkat,
    SYS_getdents64, SYS_getcwd, SYS_chdir, SYS_fchdir, SYS_ftruncate, SYS_umask, SYS_sendfile,
    SYS_dup, SYS_dup3, SYS_pipe2, SYS_ppoll, SYS_pselect6,
    SYS_mmap, SYS_mprotect, SYS_munmap, SYS_mremap, SYS_madvise, SYS_brk, SYS_membarrier,
    SYS_rt_sigaction, SYS_rt_sigprocmask, SYS_rt_sigreturn, SYS_rt_sigpending, SYS_rt_sigtimedwait,
    SYS_rt_sigsuspend, SYS_sigaltstack, SYS_restart_syscall, SYS_setitimer, SYS_getitimer,
    SYS_getpid, SYS_gettid, SYS_getppid, SYS_getuid, SYS_geteuid, SYS_getgid, SYS_getegid,
    SYS_getresuid, SYS_getresgid, SYS_getgroups, SYS_uname, SYS_sysinfo, SYS_getcpu,
    SYS_getrusage, SYS_times, SYS_getrlimit, SYS_setrlimit, SYS_wait4, SYS_waitid,
    SYS_nanosleep, SYS_clock_nanosleep, SYS_clock_gettime, SYS_clock_getres, SYS_gettimeofday,
    SYS_sched_yield, SYS_sched_getaffinity, SYS_futex, SYS_set_tid_address, SYS_set_robust_list,
    SYS_getrandom, SYS_exit, SYS_exit_group, SYS_execve,
#ifdef SYS_rseq
    SYS_rseq,
#endif
#ifdef __x86_64__
    SYS_newfstatat, SYS_stat, SYS_lstat, SYS_access, SYS_readlink, SYS_getdents, SYS_dup2, SYS_pipe,
    SYS_poll, SYS_select, SYS_alarm, SYS_pause, SYS_time, SYS_getpgrp, SYS_arch_prctl,
#else
    SYS_newfstatat,
#endif
};

static void build(filter *f, uint32_t self) {
    static const uint32_t controls[] = {TCGETS, TIOCGWINSZ, FIOCLEX, FIONCLEX, FIONBIO, FIONREAD};
    static const uint32_t names[] = {PR_SET_NAME, PR_GET_NAME};
    static const uint32_t own[] = {0};
    load(f, offsetof(struct seccomp_data, arch));
    if_equal(f, THIS_ARCHITECTURE, 1);
    put(f, BPF_JMP | BPF_JA, 1, 0, 0);
    answer(f, SECCOMP_RET_KILL_PROCESS);
    load(f, offsetof(struct seccomp_data, nr));
#ifdef __x86_64__
    /* The same calls under other numbers (x32). */
    put(f, BPF_JMP | BPF_JGE | BPF_K, 0x40000000, 0, 1);
    answer(f, SECCOMP_RET_KILL_PROCESS);
#endif
    for (size_t index = 0; index < sizeof allowed / sizeof allowed[0]; index++) {
        allow_call(f, allowed[index]);
    }
    allow_open(f, SYS_openat, 2);
    allow_fcntl(f);
    allow_values(f, SYS_ioctl, 1, controls, sizeof controls / sizeof controls[0], ENOTTY);
    allow_values(f, SYS_prctl, 0, names, sizeof names / sizeof names[0], EPERM);
    allow_values(f, SYS_prlimit64, 0, own, 1, EPERM);
    allow_on_self(f, SYS_kill, self);
    allow_on_self(f, SYS_tgkill, self);
    allow_on_self(f, SYS_tkill, self);
    /* As where there may be no more of them: neither processes nor threads. */
    refuse_call(f, SYS_clone, EAGAIN);
#ifdef __x86_64__
    allow_open(f, SYS_open, 1);
    refuse_call(f, SYS_fork, EAGAIN);
    refuse_call(f, SYS_vfork, EAGAIN);
#endif
    /* Their arguments lie in memory, out of a filter's sight; libraries then take the older calls. */
    refuse_call(f, SYS_clone3, ENOSYS);
    refuse_call(f, SYS_openat2, ENOSYS);
    refuse(f, EPERM);
}

int qat_sandbox_restrict_calls(void) {
    filter f;
    f.count = 0;
    f.is_full = 0;
    build(&f, (uint32_t)syscall(SYS_getpid));
    if (f.is_full) return E2BIG;
    const struct sock_fprog program = {.len = f.count, .filter = f.code};
    if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) != 0) return errno;
    return 0;
}

int qat_sandbox_filter_support(void) {
    const uint32_t action = SECCOMP_RET_KILL_PROCESS;
    return syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) == 0 ? 0 : -errno;
}
#else
int qat_sandbox_restrict_calls(void) { return ENOSYS; }
int qat_sandbox_filter_support(void) { return -ENOSYS; }
#endif
