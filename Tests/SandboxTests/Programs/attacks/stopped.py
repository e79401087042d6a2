# Stops itself: it neither runs nor ends.
import signal, time
print("stopping", flush=True)
os.kill(os.getpid(), signal.SIGSTOP)
time.sleep(1000)
