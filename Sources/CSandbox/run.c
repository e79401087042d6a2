#define _GNU_SOURCE
#include "sandbox.h"

#include <errno.h>
#include <string.h>

#ifdef __linux__
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif
#ifndef CLONE_PIDFD
#define CLONE_PIDFD 0x00001000
#endif
#ifndef P_PIDFD
#define P_PIDFD 3
#endif

enum { READ = 0, WRITE = 1, CHUNK = 1 << 16, SCRATCH_POLL_MS = 5 };

/* The parent's descriptors of a run; -1 where there is none. */
typedef struct {
    int input, parent, process;
    int output[2], errors[2], status[2];
} ends;

static void close_end(int *end) {
    if (*end >= 0) close(*end);
    *end = -1;
}

static void close_ends(ends *e) {
    int *const all[] = {&e->input, &e->parent, &e->process, &e->output[0], &e->output[1],
                        &e->errors[0], &e->errors[1], &e->status[0], &e->status[1]};
    for (size_t index = 0; index < sizeof all / sizeof all[0]; index++) close_end(all[index]);
}

static int64_t now_us(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * 1000000 + time.tv_nsec / 1000;
}

/* The input as a file in memory that nobody can change any more. */
static int make_input(const qat_sandbox_plan *plan) {
    const int file = memfd_create("program", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    size_t done = 0;
    if (file < 0) return -1;
    while (done < plan->input_count) {
        const ssize_t count =
            pwrite(file, (const char *)plan->input + done, plan->input_count - done, (off_t)done);
        if (count < 0 && errno == EINTR) continue;
        if (count <= 0) {
            close(file);
            return -1;
        }
        done += (size_t)count;
    }
    fcntl(file, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE);
    return file;
}

static int open_ends(const qat_sandbox_plan *plan, ends *e) {
    *e = (ends){-1, -1, -1, {-1, -1}, {-1, -1}, {-1, -1}};
    if ((e->input = make_input(plan)) < 0) return errno;
    if ((e->parent = (int)syscall(SYS_pidfd_open, getpid(), 0)) < 0) return errno;
    if (pipe2(e->output, O_CLOEXEC) != 0 || pipe2(e->errors, O_CLOEXEC) != 0) return errno;
    if (pipe2(e->status, O_CLOEXEC) != 0) return errno;
    /* The writer's end stays as it is: another open file. */
    fcntl(e->output[READ], F_SETFL, O_NONBLOCK);
    fcntl(e->errors[READ], F_SETFL, O_NONBLOCK);
    return 0;
}

/* A copy of this process, of this thread alone; its number, or minus errno. */
static pid_t start(const qat_sandbox_plan *plan, ends *e, int landlock_version) {
    const qat_sandbox_child child = {
        .plan = plan,
        .input = e->input,
        .output = e->output[WRITE],
        .errors = e->errors[WRITE],
        .status = e->status[WRITE],
        .parent = e->parent,
        .outer_user = geteuid(),
        .outer_group = getegid(),
        .landlock_version = landlock_version,
    };
    unsigned long flags = CLONE_PIDFD | SIGCHLD;
    sigset_t all, before;
    if (plan->namespaces != QAT_SANDBOX_SHARED) {
        flags |= CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS;
    }
    if (plan->namespaces == QAT_SANDBOX_USER_NAMESPACE) flags |= CLONE_NEWUSER;
    /* No handler of the parent's may run in the copy. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    const long pid = syscall(SYS_clone, flags, NULL, &e->process, NULL, NULL);
    const int error = errno;
    if (pid == 0) qat_sandbox_enter(&child);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return pid < 0 ? -error : (pid_t)pid;
}

/* Waits for execve, or for what failed before it. */
static void hear(ends *e, qat_sandbox_result *result) {
    int words[2] = {0, 0};
    ssize_t count;
    do count = read(e->status[READ], words, sizeof words);
    while (count < 0 && errno == EINTR);
    if (count == (ssize_t)sizeof words) {
        result->step = (qat_sandbox_step)words[0];
        result->error = words[1];
    }
}

/* Takes what there is; 1 while more may come. What is beyond the room counts and is dropped. */
static int drain(int *end, char *into, size_t capacity, size_t *count) {
    static _Thread_local char beyond[CHUNK];
    if (*end < 0) return 0;
    for (;;) {
        const size_t room = *count < capacity ? capacity - *count : 0;
        char *const target = room > 0 ? into + *count : beyond;
        const ssize_t taken = read(*end, target, room > 0 ? room : CHUNK);
        if (taken > 0) {
            *count += (size_t)taken;
            if (*count > capacity) return 1;
        } else if (taken < 0 && errno == EINTR) {
            continue;
        } else if (taken < 0 && errno == EAGAIN) {
            return 1;
        } else {
            close_end(end);
            return 0;
        }
    }
}

/* Whether the files of a scratch folder on disk are more, or hold more, than allowed. */
static int is_overfull(const qat_sandbox_plan *plan) {
    DIR *const folder = opendir(plan->scratch);
    int64_t count = 0, bytes = 0;
    const struct dirent *entry;
    if (folder == NULL) return 1;
    while ((entry = readdir(folder)) != NULL && count <= plan->scratch_files) {
        struct stat found;
        if (entry->d_name[0] == '.' &&
            (entry->d_name[1] == 0 || (entry->d_name[1] == '.' && entry->d_name[2] == 0))) {
            continue;
        }
        if (fstatat(dirfd(folder), entry->d_name, &found, AT_SYMLINK_NOFOLLOW) != 0) continue;
        count++;
        bytes += (int64_t)found.st_blocks * 512;
    }
    closedir(folder);
    return count > plan->scratch_files || bytes > plan->scratch_bytes;
}

/* Processor time that the process has used, exactly; 0 where the system does not tell. */
static int64_t cpu_us(pid_t pid) {
    struct timespec used;
    clockid_t clock;
    if (clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &used) != 0) return 0;
    return (int64_t)used.tv_sec * 1000000 + used.tv_nsec / 1000;
}

/* How long it may be left alone: until one of both times may be over. One process cannot use more of a processor than
 * goes by. Notes which is over. */
static int64_t time_left(
    const qat_sandbox_plan *plan, pid_t pid, int64_t start_us, qat_sandbox_result *result
) {
    const int64_t wall = plan->wall_ms - (now_us() - start_us) / 1000;
    const int64_t cpu = plan->cpu_ms - cpu_us(pid) / 1000;
    if (cpu <= 0) {
        result->kill = QAT_SANDBOX_KILLED_CPU;
    } else if (wall <= 0) {
        result->kill = QAT_SANDBOX_KILLED_WALL;
    }
    return cpu < wall ? cpu : wall;
}

/* Reads the output until the process ends, or has to. */
static void watch(
    const qat_sandbox_plan *plan, ends *e, pid_t pid, int64_t start_us, char *output, char *errors,
    qat_sandbox_result *result
) {
    const size_t capacity = (size_t)plan->output_bytes;
    const int has_disk = plan->namespaces == QAT_SANDBOX_SHARED;
    int is_over = 0;
    while (result->kill == QAT_SANDBOX_NOT_KILLED && !is_over) {
        struct pollfd waits[3] = {
            {e->process, POLLIN, 0}, {e->output[READ], POLLIN, 0}, {e->errors[READ], POLLIN, 0}};
        const int64_t left = time_left(plan, pid, start_us, result);
        if (left <= 0) break;
        poll(waits, 3, (int)(has_disk && left > SCRATCH_POLL_MS ? SCRATCH_POLL_MS : left));
        /* Looked at first: what was written before the end is in the pipes then. */
        is_over = waits[0].revents != 0;
        drain(&e->output[READ], output, capacity, &result->output_count);
        drain(&e->errors[READ], errors, capacity, &result->error_count);
        if (result->output_count > capacity || result->error_count > capacity) {
            result->kill = QAT_SANDBOX_KILLED_OUTPUT;
        } else if (has_disk && is_overfull(plan)) {
            result->kill = QAT_SANDBOX_KILLED_SCRATCH;
        }
    }
    if (result->output_count > capacity) result->output_count = capacity;
    if (result->error_count > capacity) result->error_count = capacity;
}

/* Ends what is left of the process. It had no children, and had it some in a namespace, they end with it. */
static void reap(pid_t pid, int64_t start_us, qat_sandbox_result *result) {
    struct rusage usage;
    int status = 0;
    pid_t found;
    /* Not waited for yet: the number is still its own. */
    kill(pid, SIGKILL);
    do found = wait4(pid, &status, 0, &usage);
    while (found < 0 && errno == EINTR);
    result->wall_us = now_us() - start_us;
    if (found != pid) return;
    result->cpu_us = (int64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000 +
                     usage.ru_utime.tv_usec + usage.ru_stime.tv_usec;
    result->peak_bytes = (int64_t)usage.ru_maxrss * 1024;
    if (WIFEXITED(status)) result->status = WEXITSTATUS(status);
    if (WIFSIGNALED(status)) result->signal = WTERMSIG(status);
}

void qat_sandbox_run(const qat_sandbox_plan *plan, char *output, char *errors, qat_sandbox_result *result) {
    const int version = qat_sandbox_landlock_version();
    const int64_t start_us = now_us();
    ends e;
    *result = (qat_sandbox_result){.status = -1};
    if (version < 1) {
        result->step = QAT_SANDBOX_STEP_LANDLOCK;
        result->error = version < 0 ? -version : ENOSYS;
        return;
    }
    result->error = open_ends(plan, &e);
    if (result->error != 0) {
        result->step = QAT_SANDBOX_STEP_RESOURCES;
        close_ends(&e);
        return;
    }
    const pid_t pid = start(plan, &e, version);
    if (pid < 0) {
        result->step = QAT_SANDBOX_STEP_CLONE;
        result->error = -pid;
        close_ends(&e);
        return;
    }
    close_end(&e.input);
    close_end(&e.output[WRITE]);
    close_end(&e.errors[WRITE]);
    close_end(&e.status[WRITE]);
    hear(&e, result);
    if (result->step == QAT_SANDBOX_READY) watch(plan, &e, pid, start_us, output, errors, result);
    reap(pid, start_us, result);
    close_ends(&e);
}
#else
void qat_sandbox_run(const qat_sandbox_plan *plan, char *output, char *errors, qat_sandbox_result *result) {
    (void)plan;
    (void)output;
    (void)errors;
    memset(result, 0, sizeof *result);
    result->step = QAT_SANDBOX_STEP_CLONE;
    result->error = ENOSYS;
    result->status = -1;
}
#endif
