// A structure in three dimensions: spheres by covalent radius, bonds, the cell; turned by mouse, keys and buttons.
const SPHERE = 0.5; // of the covalent radius
const STICK = 0.13; // Å
const BONDED = 1.18; // bonds are shorter than this times the sum of covalent radii
const MANY = 400; // atoms; with more, spheres are coarser
const MOST_BONDS = 5000; // with more, none are drawn: they hide what they should show
const ROOM = 0.2; // Å around all, so that nothing is cut off
const TURN = Math.PI / 18;

const minus = (a, b) => [a[0] - b[0], a[1] - b[1], a[2] - b[2]];
const plus = (a, b, s = 1) => [a[0] + s * b[0], a[1] + s * b[1], a[2] + s * b[2]];
const cross = (a, b) => [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];
const dot = (a, b) => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
const unit = (a) => { const n = Math.hypot(...a) || 1; return [a[0] / n, a[1] / n, a[2] / n]; };

// a sphere of triangles: an icosahedron, its edges halved `times` times
function sphere(times) {
  const g = (1 + Math.sqrt(5)) / 2;
  let points = [[-1, g, 0], [1, g, 0], [-1, -g, 0], [1, -g, 0], [0, -1, g], [0, 1, g], [0, -1, -g], [0, 1, -g],
    [g, 0, -1], [g, 0, 1], [-g, 0, -1], [-g, 0, 1]].map(unit);
  let faces = [[0, 11, 5], [0, 5, 1], [0, 1, 7], [0, 7, 10], [0, 10, 11], [1, 5, 9], [5, 11, 4], [11, 10, 2], [10, 7, 6],
    [7, 1, 8], [3, 9, 4], [3, 4, 2], [3, 2, 6], [3, 6, 8], [3, 8, 9], [4, 9, 5], [2, 4, 11], [6, 2, 10], [8, 6, 7], [9, 8, 1]];
  for (let n = 0; n < times; n++) {
    const middles = new Map(), next = [];
    const middle = (a, b) => {
      const key = a < b ? `${a} ${b}` : `${b} ${a}`;
      if (!middles.has(key)) { middles.set(key, points.length); points.push(unit(plus(points[a], points[b]))); }
      return middles.get(key);
    };
    for (const [a, b, c] of faces) {
      const ab = middle(a, b), bc = middle(b, c), ca = middle(c, a);
      next.push([a, ab, ca], [b, bc, ab], [c, ca, bc], [ab, bc, ca]);
    }
    faces = next;
  }
  return { points, faces };
}

// a mesh in one colour; colours of single corners would have to be read one by one
const emptyMesh = (colour) => ({ colour, x: [], y: [], z: [], i: [], j: [], k: [], text: [] });

function addTo(mesh, points, faces, text) {
  const first = mesh.x.length;
  for (const [x, y, z] of points) {
    mesh.x.push(x); mesh.y.push(y); mesh.z.push(z);
    mesh.text.push(text);
  }
  for (const [a, b, c] of faces) { mesh.i.push(first + a); mesh.j.push(first + b); mesh.k.push(first + c); }
}

function trace({ colour, text, ...mesh }, hover) {
  return {
    type: "mesh3d", ...mesh, color: colour, flatshading: false,
    lighting: { ambient: 0.55, diffuse: 0.62, specular: 0.25, roughness: 0.45, fresnel: 0.08 },
    lightposition: { x: 2e4, y: -3e4, z: 6e4 }, ...(hover ? { hovertext: text, hoverinfo: "text" } : { hoverinfo: "skip" }),
  };
}

// pairs of atoms that are bonded, by distance within the drawn atoms; swept along x
function bonds(atoms) {
  const order = atoms.map((_, n) => n).sort((a, b) => atoms[a].r[0] - atoms[b].r[0]);
  const largest = Math.max(...atoms.map((atom) => atom.radius));
  const found = [];
  order.forEach((a, n) => {
    for (let m = n + 1; m < order.length; m++) {
      const b = order[m], d = minus(atoms[b].r, atoms[a].r);
      if (d[0] > BONDED * (atoms[a].radius + largest)) break;
      const length = Math.hypot(...d);
      if (length > 0.1 && length < BONDED * (atoms[a].radius + atoms[b].radius)) found.push([a, b]);
    }
  });
  return found;
}

// half a bond: a prism of six sides in the colour of its atom
function addStick(mesh, from, to) {
  const along = unit(minus(to, from));
  const u = unit(cross(along, Math.abs(along[0]) < 0.8 ? [1, 0, 0] : [0, 1, 0])), v = cross(along, u);
  const points = [], faces = [];
  for (let n = 0; n < 6; n++) {
    const angle = (n * Math.PI) / 3, side = plus(plus([0, 0, 0], u, STICK * Math.cos(angle)), v, STICK * Math.sin(angle));
    points.push(plus(from, side), plus(to, side));
    const m = (n + 1) % 6;
    faces.push([2 * n, 2 * m, 2 * n + 1], [2 * m, 2 * m + 1, 2 * n + 1]);
  }
  addTo(mesh, points, faces, "");
}

function cellEdges(cell) {
  const at = (a, b, c) => plus(plus(plus([0, 0, 0], cell[0], a), cell[1], b), cell[2], c);
  const line = [];
  for (const [u, v] of [[0, 0], [0, 1], [1, 0], [1, 1]])
    line.push(at(0, u, v), at(1, u, v), null, at(u, 0, v), at(u, 1, v), null, at(u, v, 0), at(u, v, 1), null);
  return line;
}

// what is drawn of [Z, positions, cell] (lengths in 0.01 Å), for `elements` { Z: [symbol, radius, colour] }
function read([Z, positions, cell], elements) {
  const vector = (list, n) => [list[3 * n] / 100, list[3 * n + 1] / 100, list[3 * n + 2] / 100];
  const atoms = Z.map((number, n) => {
    const [symbol, radius, colour] = elements[number];
    return { symbol, radius, colour, r: vector(positions, n) };
  });
  return { atoms, cell: cell && [0, 1, 2].map((n) => vector(cell, n)), bonded: atoms.length ? bonds(atoms) : [] };
}

function formula(atoms) {
  const counts = new Map();
  for (const { symbol } of atoms) counts.set(symbol, (counts.get(symbol) ?? 0) + 1);
  const first = counts.has("C") ? ["C", "H"].filter((s) => counts.has(s)) : []; // Hill's order
  return [...first, ...[...counts.keys()].filter((s) => !first.includes(s)).sort()]
    .map((symbol) => symbol + (counts.get(symbol) > 1 ? counts.get(symbol) : "")).join("");
}

function traces({ atoms, cell, bonded }) {
  const balls = new Map(), sticks = new Map(), ball = sphere(atoms.length > MANY ? 1 : 2);
  const of = (meshes, { symbol, colour }) => meshes.get(symbol) ?? meshes.set(symbol, emptyMesh(colour)).get(symbol);
  atoms.forEach((atom, n) => {
    const text = `${atom.symbol} ${n + 1}<br>${atom.r.map((x) => x.toFixed(2)).join(", ")} Å`;
    addTo(of(balls, atom), ball.points.map((p) => plus(atom.r, p, SPHERE * atom.radius)), ball.faces, text);
  });
  for (const [a, b] of bonded.length > MOST_BONDS ? [] : bonded) {
    const middle = plus(atoms[a].r, minus(atoms[b].r, atoms[a].r), 0.5);
    for (const n of [a, b]) addStick(of(sticks, atoms[n]), atoms[n].r, middle);
  }
  const data = [...[...balls.values()].map((mesh) => trace(mesh, true)), ...[...sticks.values()].map((mesh) => trace(mesh, false))];
  if (cell) {
    const line = cellEdges(cell);
    data.push({ type: "scatter3d", mode: "lines", hoverinfo: "skip", line: { color: NEUTRAL, width: 2 },
      x: line.map((p) => p && p[0]), y: line.map((p) => p && p[1]), z: line.map((p) => p && p[2]) });
  }
  return data;
}

// ranges and proportions of the axes, true to scale, and a camera that looks at the broad side
function view({ atoms, cell }) {
  const corners = cell ? cellEdges(cell).filter(Boolean) : [];
  const low = [0, 1, 2].map((i) => Math.min(...corners.map((p) => p[i]), ...atoms.map((a) => a.r[i] - a.radius)) - ROOM);
  const high = [0, 1, 2].map((i) => Math.max(...corners.map((p) => p[i]), ...atoms.map((a) => a.r[i] + a.radius)) + ROOM);
  const size = minus(high, low).map((s) => Math.max(s, 1)), largest = Math.max(...size);
  const axis = (i) => ({ visible: false, range: [low[i], low[i] + size[i]], autorange: false });
  const thin = cell ? 1 : size.indexOf(Math.min(...size)); // crystals and slabs stand upright
  const eye = [0.28, 0.28, 0.28];
  eye[thin] = thin === 1 ? -1 : 1;
  const far = Math.max(1.1, 0.97 * Math.hypot(...size.map((s) => s / largest)));
  const at = unit(eye).map((x) => far * x);
  const camera = { eye: { x: at[0], y: at[1], z: at[2] }, up: thin === 2 ? { x: 0, y: 1, z: 0 } : { x: 0, y: 0, z: 1 }, center: { x: 0, y: 0, z: 0 } };
  return {
    camera,
    scene: { xaxis: axis(0), yaxis: axis(1), zaxis: axis(2), aspectmode: "manual", dragmode: "orbit",
      aspectratio: { x: size[0] / largest, y: size[1] / largest, z: size[2] / largest } },
  };
}

function rotated(vector, about, angle) { // Rodrigues
  const c = Math.cos(angle), s = Math.sin(angle);
  return plus(plus(plus([0, 0, 0], vector, c), cross(about, vector), s), about, (1 - c) * dot(about, vector));
}

// the camera turned to the right and upward (rad), its distance times `zoom`
function moved(camera, right, upward, zoom) {
  const list = (v) => [v.x, v.y, v.z], named = ([x, y, z]) => ({ x, y, z });
  let eye = list(camera.eye), up = unit(list(camera.up));
  const side = unit(cross(up, eye));
  up = unit(cross(eye, side));
  eye = rotated(rotated(eye, up, -right), side, -upward);
  up = rotated(up, side, -upward);
  return { ...camera, eye: named(eye.map((x) => x * zoom)), up: named(up) };
}

const KEYS = { ArrowLeft: [-TURN, 0, 1], ArrowRight: [TURN, 0, 1], ArrowUp: [0, TURN, 1], ArrowDown: [0, -TURN, 1],
  "+": [0, 0, 1 / 1.2], "=": [0, 0, 1 / 1.2], "-": [0, 0, 1.2] };

/* The viewer of one structure after the other. `show(name, role, packed, elements)` draws one. */
function viewer() {
  const plot = make("div", { class: "plot3d", role: "img", tabindex: "0" });
  const about = make("p", { class: "about", "aria-live": "polite" });
  const key = make("ul", { class: "atom-key" });
  let shown = null, start = null;
  const turn = (right, upward, zoom) => shown && Plotly.relayout(plot, { "scene.camera": moved(plot.layout.scene.camera, right, upward, zoom) });
  const reset = () => shown && Plotly.relayout(plot, { "scene.camera": start });
  plot.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Home") reset();
    else if (KEYS[event.key]) turn(...KEYS[event.key]);
    else return;
    event.preventDefault();
  });
  const button = (sign, label, action) => make("button", { type: "button", "aria-label": label, title: label, onclick: action }, sign);
  const buttons = make("div", { class: "turns", role: "group", "aria-label": "Turn the structure" },
    button("←", "Turn left", () => turn(-TURN, 0, 1)), button("→", "Turn right", () => turn(TURN, 0, 1)),
    button("↑", "Turn up", () => turn(0, TURN, 1)), button("↓", "Turn down", () => turn(0, -TURN, 1)),
    button("+", "Nearer", () => turn(0, 0, 1 / 1.2)), button("−", "Farther", () => turn(0, 0, 1.2)), button("⟲", "First view", reset));
  return {
    node: make("div", { class: "viewer" }, plot, make("div", { class: "viewer-foot" }, buttons, key), about),
    async show(name, role, packed, elements) {
      shown = read(packed, elements);
      start = view(shown).camera;
      const text = `${name}, ${role}: ${formula(shown.atoms)}, ${shown.atoms.length} atom${shown.atoms.length === 1 ? "" : "s"}` +
        (shown.cell ? `, cell ${shown.cell.map((v) => Math.hypot(...v).toFixed(2)).join(" × ")} Å` : "");
      const crowded = shown.bonded.length > MOST_BONDS;
      about.textContent = `${text}.` + (crowded ? " Bonds are too many to be drawn." : shown.cell ? " Bonds through faces of the cell are not drawn." : "");
      plot.setAttribute("aria-label", `Structure in three dimensions, ${text}. Arrow keys turn it, + and - zoom, Home returns.`);
      const kinds = new Map(shown.atoms.map((atom) => [atom.symbol, atom.colour]));
      key.replaceChildren(...[...kinds].map(([symbol, colour]) => {
        const mark = make("i", { "aria-hidden": "true" });
        mark.style.background = colour;
        return make("li", {}, mark, symbol);
      }));
      const layout = { scene: { ...view(shown).scene, camera: start }, margin: { l: 0, r: 0, t: 0, b: 0 }, showlegend: false, autosize: true, template: template() };
      await Plotly.newPlot(plot, traces(shown), layout, CONFIG);
    },
  };
}
