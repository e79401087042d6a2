# As many threads as there is room for: not one.
import threading, time
started = []

def bomb():
    for _ in range(10000):
        thread = threading.Thread(target=time.sleep, args=(60,), daemon=True)
        thread.start()
        started.append(thread)

attempt("threads", bomb)
