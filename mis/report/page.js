// Headings become buttons, which sort by their column: numbers by value, what is missing last.
for (const table of document.querySelectorAll("table.sortable")) {
  const heads = Array.from(table.tHead.rows[0].cells);
  const body = table.tBodies[0];
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    const name = head.querySelector(".name");
    name.replaceWith(button);
    button.append(name);
    const key = row => row.cells[column].dataset.value ?? row.cells[column].textContent;
    const order = (one, other) => {
      if (one === "" || other === "") return (one === "") - (other === "");
      const numbers = [Number(one), Number(other)];
      return numbers.some(Number.isNaN) ? one.localeCompare(other) * sign : (numbers[0] - numbers[1]) * sign;
    };
    let sign = 1;
    button.addEventListener("click", () => {
      sign = head.getAttribute("aria-sort") === "ascending" ? -1 : 1;
      for (const other of heads) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", sign === 1 ? "ascending" : "descending");
      body.append(...Array.from(body.rows).sort((a, b) => order(key(a), key(b))));
    });
  });
}
