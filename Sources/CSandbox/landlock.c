#define _GNU_SOURCE
#include "sandbox.h"

#include <errno.h>

#ifdef __linux__
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* After linux/landlock.h of 6.15; Debian 12's header ends at version 2. The numbers are the same everywhere. */
#ifndef SYS_landlock_create_ruleset
#define SYS_landlock_create_ruleset 444
#define SYS_landlock_add_rule 445
#define SYS_landlock_restrict_self 446
#endif

enum {
    EXECUTE = 1 << 0,
    WRITE_FILE = 1 << 1,
    READ_FILE = 1 << 2,
    READ_DIR = 1 << 3,
    /* Removing, making anything but a regular file: 4 to 12 without 8. */
    MAKE_REG = 1 << 8,
    VERSION_1 = (1 << 13) - 1,
    REFER = 1 << 13,     /* version 2 */
    TRUNCATE = 1 << 14,  /* version 3 */
    IOCTL_DEV = 1 << 15, /* version 5 */
};

typedef struct {
    uint64_t files;
    uint64_t network; /* version 4: bind, connect */
    uint64_t scopes;  /* version 6: abstract sockets, signals */
} ruleset_attributes;

typedef struct {
    uint64_t allowed;
    int32_t parent;
} __attribute__((packed)) beneath_attributes;

static const int rule_path_beneath = 1;

int qat_sandbox_landlock_version(void) {
    const long version = syscall(SYS_landlock_create_ruleset, NULL, 0, 1u);
    return version < 0 ? -errno : (int)version;
}

static int allow(int ruleset, int folder, uint64_t rights) {
    const beneath_attributes rule = {.allowed = rights, .parent = folder};
    return syscall(SYS_landlock_add_rule, ruleset, rule_path_beneath, &rule, 0) == 0 ? 0 : errno;
}

static int allow_path(int ruleset, const char *path, uint64_t folder_rights, uint64_t file_rights) {
    struct stat found;
    const int file = open(path, O_PATH | O_CLOEXEC);
    int error;
    if (file < 0) return errno;
    if (fstat(file, &found) != 0) {
        error = errno;
    } else {
        error = allow(ruleset, file, S_ISDIR(found.st_mode) ? folder_rights : file_rights);
    }
    close(file);
    return error;
}

static int add_rules(const qat_sandbox_plan *plan, int ruleset, uint64_t known) {
    const char *const *path;
    int error = 0;
    /* Folders are read, and only files that are named are executed: no shell, whatever lies beside a library. */
    for (path = plan->readable; *path != NULL && error == 0; path++) {
        error = allow_path(ruleset, *path, READ_FILE | READ_DIR, READ_FILE | EXECUTE);
    }
    for (path = qat_sandbox_devices; *path != NULL && error == 0; path++) {
        error = allow_path(ruleset, *path, 0, READ_FILE | WRITE_FILE);
        if (error == ENOENT) error = 0;
    }
    if (error != 0) return error;
    /* Regular files and nothing else, which stay once they are there: their number and size can be watched, and
     * no link leads out. */
    return allow_path(
        ruleset, ".", (READ_FILE | READ_DIR | WRITE_FILE | MAKE_REG | TRUNCATE) & known, 0);
}

int qat_sandbox_restrict_files(const qat_sandbox_plan *plan, int version) {
    ruleset_attributes all = {.files = VERSION_1};
    int ruleset, error;
    if (version >= 2) all.files |= REFER;
    if (version >= 3) all.files |= TRUNCATE;
    if (version >= 4) all.network = 3;
    if (version >= 5) all.files |= IOCTL_DEV;
    if (version >= 6) all.scopes = 3;
    /* Older kernels take the larger structure where what they do not know is zero. */
    ruleset = (int)syscall(SYS_landlock_create_ruleset, &all, sizeof all, 0);
    if (ruleset < 0) return errno;
    error = add_rules(plan, ruleset, all.files);
    if (error == 0 && syscall(SYS_landlock_restrict_self, ruleset, 0) != 0) error = errno;
    close(ruleset);
    return error;
}
#else
int qat_sandbox_landlock_version(void) { return -ENOSYS; }
#endif
