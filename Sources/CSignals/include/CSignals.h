#ifndef QAT_CSIGNALS_H
#define QAT_CSIGNALS_H

/* Makes SIGHUP and SIGPIPE do nothing; happens by itself before main() wherever this is linked in.
 *
 * A terminal that goes away is no reason for a daemon to stop, and neither is a reader of its log. */
void qat_ignore_hangups(void);

/* The most memory, in bytes, that a child of this process had resident, which has ended and was not waited
 * for yet; it can be waited for afterwards. 0 while it runs, -1 where the system does not tell. */
long long qat_peak_of_ended_child(int pid);

/* Has the system kill this process when the one that started it ends, as far as it can; whether that one is there
 * still. */
int qat_die_with_parent(void);

#endif
