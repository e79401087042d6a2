import functools, sys
sys.setrecursionlimit(20000)

@functools.lru_cache(maxsize=None)
def fibonacci(n):
    return n if n < 2 else fibonacci(n - 1) + fibonacci(n - 2)

assert fibonacci(90) == 2880067194370816120

def depth(n):
    return 0 if n == 0 else 1 + depth(n - 1)

assert depth(3000) == 3000
print("done")
