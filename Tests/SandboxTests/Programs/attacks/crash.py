# Its own end by its own fault, with all that systems collect then.
import resource
try:
    resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    print("HARM cores", flush=True)
except (OSError, ValueError):
    pass
ctypes.string_at(1)
