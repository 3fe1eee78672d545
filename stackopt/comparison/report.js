"use strict";
// Sorts a table by the column whose heading is pressed: by the unrounded number where there is one, else by text.
document.querySelectorAll("table.sortable").forEach(function (table) {
  var body = table.tBodies[0];
  if (!body || body.rows.length < 2) return;
  function key(row, column) {
    var cell = row.cells[column], raw = cell.getAttribute("data-v");
    return raw === null ? cell.textContent.trim() : Number(raw);
  }
  function compare(a, b, sign) {
    var numbers = (typeof b === "number") - (typeof a === "number");
    if (numbers) return numbers; // rows without a number go last, whatever the direction
    return sign * (typeof a === "number" ? a - b : a.localeCompare(b, "en", { numeric: true }));
  }
  Array.prototype.forEach.call(table.tHead.rows[0].cells, function (head, column) {
    var button = document.createElement("button");
    button.type = "button";
    while (head.firstChild) button.appendChild(head.firstChild);
    head.appendChild(button);
    button.addEventListener("click", function () {
      var falling = head.getAttribute("aria-sort") === "ascending";
      Array.prototype.forEach.call(table.tHead.rows[0].cells, function (other) {
        other.removeAttribute("aria-sort");
      });
      head.setAttribute("aria-sort", falling ? "descending" : "ascending");
      Array.prototype.slice.call(body.rows).map(function (row, i) {
        return { row: row, key: key(row, column), i: i };
      }).sort(function (a, b) {
        return compare(a.key, b.key, falling ? -1 : 1) || a.i - b.i;
      }).forEach(function (entry) {
        body.appendChild(entry.row);
      });
    });
  });
});
