import csv, os, tempfile
with open("table.csv", "w", newline="") as file:
    csv.writer(file).writerows([[1, 2], [3, 4]])
with open("table.csv") as file:
    assert list(csv.reader(file)) == [["1", "2"], ["3", "4"]]
with open("table.csv", "r+") as file:
    file.truncate(2)
assert os.path.getsize("table.csv") == 2
with open("data.bin", "wb") as file:
    file.write(bytes(range(256)) * 4096)
assert len(open("data.bin", "rb").read()) == 1 << 20
with open(os.devnull, "w") as file:
    file.write("nothing")
assert sorted(os.listdir(".")) == ["data.bin", "table.csv"]
print("done")
