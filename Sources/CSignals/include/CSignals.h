#ifndef QAT_CSIGNALS_H
#define QAT_CSIGNALS_H

/* Makes SIGHUP and SIGPIPE do nothing; happens by itself before main() wherever this is linked in.
 *
 * A terminal that goes away is no reason for a daemon to stop, and neither is a reader of its log. */
void qat_ignore_hangups(void);

#endif
