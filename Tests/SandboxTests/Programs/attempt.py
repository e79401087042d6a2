# What every attack begins with. Prints what was possible and should not have been, a line each, after "HARM".
import ctypes, errno, os, sys

SECRET = "@SECRET@"      # a file that its owner and everyone may read and write
OUTSIDE = "@OUTSIDE@"    # its folder, in which everyone may write
PARENT = @PARENT@        # the process that runs the sandbox
ARM = os.uname().machine == "aarch64"

libc = ctypes.CDLL(None, use_errno=True)


def attempt(name, action, *arguments):
    """Calls what must fail."""
    try:
        result = action(*arguments)
    except (OSError, ValueError, RuntimeError, MemoryError, OverflowError) as error:
        print(name, "refused:", type(error).__name__, error)
        return None
    print("HARM", name, repr(result)[:200])
    return result


def call(name, x86, arm, *arguments, allowed=()):
    """A system call by its number, which must fail."""
    number = arm if ARM else x86
    if number is None:
        return
    ctypes.set_errno(0)
    result = libc.syscall(ctypes.c_long(number), *[
        ctypes.c_long(a) if isinstance(a, int) else a for a in arguments])
    error = ctypes.get_errno()
    if result == -1 and error not in allowed:
        print(name, "refused:", errno.errorcode.get(error, error))
    else:
        print("HARM", name, result, error)
