"use strict";
// Sorts a table by the column whose heading is pressed, by the unrounded number where there is one, else by text; shows the rows that have all words asked for.
document.querySelectorAll("table.sortable").forEach(function (table) {
  var body = table.tBodies[0];
  if (!body || body.rows.length < 2) return;
  var heads = Array.from(table.tHead.rows[0].cells);
  function key(row, column) {
    var cell = row.cells[column], raw = cell.getAttribute("data-v");
    return raw === null ? cell.textContent.trim() : Number(raw);
  }
  function compare(a, b, sign) {
    var numbers = (typeof b === "number") - (typeof a === "number");
    if (numbers) return numbers; // rows without a number go last, whatever the direction
    return sign * (typeof a === "number" ? a - b : a.localeCompare(b, "en", { numeric: true }));
  }
  heads.forEach(function (head, column) {
    var button = document.createElement("button");
    button.type = "button";
    button.append.apply(button, Array.from(head.childNodes));
    head.append(button);
    button.addEventListener("click", function () {
      var falling = head.getAttribute("aria-sort") === "ascending";
      heads.forEach(function (other) { other.removeAttribute("aria-sort"); });
      head.setAttribute("aria-sort", falling ? "descending" : "ascending");
      Array.from(body.rows, function (row, i) {
        return { row: row, key: key(row, column), i: i };
      }).sort(function (a, b) {
        return compare(a.key, b.key, falling ? -1 : 1) || a.i - b.i;
      }).forEach(function (entry) { body.append(entry.row); });
    });
  });
  if (body.rows.length < 12) return;
  var label = document.createElement("label"), input = document.createElement("input"), shown = document.createElement("output");
  input.type = "search";
  label.className = "filter";
  label.append("Rows with", input, shown);
  table.parentNode.before(label);
  input.addEventListener("input", function () {
    var words = input.value.toLowerCase().split(/\s+/), left = 0;
    Array.from(body.rows, function (row) {
      var text = Array.from(row.cells, function (cell) { return cell.textContent; }).join(" ").toLowerCase();
      row.hidden = !words.every(function (word) { return text.includes(word); });
      left += !row.hidden;
    });
    shown.textContent = left + " of " + body.rows.length;
  });
});
