/// The page's script, which it can do without.
enum ReportScript {
    /// Makes the columns of ``ReportTable`` buttons that sort its rows, up, down and up again.
    static let sorting = """

        document.querySelectorAll("table.sortable").forEach(function (table) {
          "use strict";
          var body = table.tBodies[0];
          var heads = Array.from(table.querySelectorAll("th[data-column]"));
          function compare(a, b, column) {
            var x = a.cells[column], y = b.cells[column];
            if (x.dataset.value === undefined) {
              return x.textContent.localeCompare(y.textContent, "en", { numeric: true });
            }
            var p = Number(x.dataset.value), q = Number(y.dataset.value);
            if (isNaN(p) || isNaN(q)) { return Number(isNaN(p)) - Number(isNaN(q)); }
            return p === q ? 0 : p > q ? 1 : -1;
          }
          heads.forEach(function (head) {
            var button = document.createElement("button");
            button.type = "button";
            button.textContent = head.textContent;
            head.textContent = "";
            head.appendChild(button);
            button.addEventListener("click", function () {
              var isDown = head.getAttribute("aria-sort") === "ascending";
              heads.forEach(function (other) { other.removeAttribute("aria-sort"); });
              head.setAttribute("aria-sort", isDown ? "descending" : "ascending");
              var column = Number(head.dataset.column);
              var rows = Array.from(body.rows);
              rows.sort(function (a, b) { return compare(a, b, column) * (isDown ? -1 : 1); });
              rows.forEach(function (row) { body.appendChild(row); });
            });
          });
        });

        """
}
