#define _GNU_SOURCE
#include "test_program.h"

#include <signal.h>
#include <spawn.h>

int test_program_start(const char *path, char *const arguments[], char *const environment[],
                       const char *folder, const int descriptors[3], pid_t *process_id) {
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
    posix_spawn_file_actions_addchdir_np(&actions, folder);
    for (int stream = 0; stream < 3; stream++) {
        posix_spawn_file_actions_adddup2(&actions, descriptors[stream], stream);
    }
    posix_spawn_file_actions_addclosefrom_np(&actions, 3);

    sigset_t signals;
    sigemptyset(&signals);
    posix_spawnattr_setsigmask(&attributes, &signals);
    sigfillset(&signals);
    sigdelset(&signals, SIGKILL);
    sigdelset(&signals, SIGSTOP);
    posix_spawnattr_setsigdefault(&attributes, &signals);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);

    int status = posix_spawn(process_id, path, &actions, &attributes, arguments, environment);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    return status;
}
