// Starting programs with what POSIX has no name for and glibc shows to GNU sources only.
#pragma once
#include <sys/types.h>

// Starts `path` in `folder` with three descriptors as its 0, 1 and 2, no other one of this process's,
// no signal blocked and all at their defaults. `arguments` and `environment` end with NULL, and
// `arguments` starts with the program's name. Gives the process's id; returns 0 or an errno.
int test_program_start(const char *path, char *const arguments[], char *const environment[],
                       const char *folder, const int descriptors[3], pid_t *process_id);
