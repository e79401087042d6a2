#include "CSignals.h"

#include <signal.h>

void qat_ignore_hangups(void) {
    signal(SIGHUP, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
}

/* Before main() libraries make themselves ready, for some 25 ms in which a signal would still end the
 * process: the entries of .preinit_array come before those. */
#ifdef __linux__
__attribute__((section(".preinit_array"), used)) static void (*const ignore_hangups_first)(void) =
    qat_ignore_hangups;
#else
__attribute__((constructor)) static void ignore_hangups_first(void) { qat_ignore_hangups(); }
#endif
