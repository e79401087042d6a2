# Some seconds' worth of arithmetic and 200 MB, as a slow but right answer uses them.
import array
sieve = bytearray([1]) * 2_000_000
for n in range(2, 1415):
    if sieve[n]:
        sieve[n * n::n] = bytes(len(range(n * n, len(sieve), n)))
assert sum(sieve) - 2 == 148933
held = array.array("d", bytes(200 << 20))
assert len(held) == 25 << 20
assert pow(3, 10**5, 10**9 + 7) == 3**(10**5) % (10**9 + 7)
print("done")
