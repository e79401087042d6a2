# Never ends, and does not want to be told.
import signal
for number in range(1, 65):
    try:
        signal.signal(number, signal.SIG_IGN)
    except (OSError, ValueError):
        pass
print("looping", flush=True)
while True:
    pass
