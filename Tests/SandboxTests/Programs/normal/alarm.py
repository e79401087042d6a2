# Its own limit of time, as harnesses set it within the program.
import signal, time

class Late(Exception):
    pass

def ring(number, frame):
    raise Late

signal.signal(signal.SIGALRM, ring)
signal.setitimer(signal.ITIMER_REAL, 0.05)
try:
    time.sleep(5)
    raise SystemExit("no alarm")
except Late:
    print("done")
