// Texts of <levada-player>, in English, Spanish and Portuguese; the studio uses some of them. {name} is filled in.

export const LANGUAGES = ["en", "es", "pt"];

export const SHARED_TEXTS = {
  calibrate: ["Calibrate", "Calibrar", "Calibrar"],
  calibrated: ["Your taps are {lag} ms late, spread {spread} ms: corrected from now on.", "Sus toques llegan {lag} ms tarde, dispersión {spread} ms: se corrigen desde ahora.", "Seus toques chegam {lag} ms atrasados, dispersão {spread} ms: corrigidos a partir de agora."],
  calibratedWide: ["Lag {lag} ms, but the spread of {spread} ms is wide: try again, with a steady hand.", "Retardo {lag} ms, pero la dispersión de {spread} ms es grande: intente otra vez, con pulso firme.", "Atraso {lag} ms, mas a dispersão de {spread} ms é grande: tente de novo, com mão firme."],
  calibratedFew: ["Too few taps: tap T with every click.", "Muy pocos toques: toque T con cada clic.", "Poucos toques: toque T com cada clique."],
  calibrationHow: ["Sixteen clicks sound. Tap T (or Space) together with each of them. Do it once for each loudspeaker or headphones.", "Suenan dieciséis clics. Toque T (o Espacio) junto con cada uno. Una vez para cada parlante o auriculares.", "Soam dezesseis cliques. Toque T (ou Espaço) junto com cada um. Uma vez para cada alto-falante ou fone."],
  clicks: ["Clicks", "Clics", "Cliques"],
  level: ["level of {name}", "nivel de {name}", "volume de {name}"],
  loop: ["Loop", "Bucle", "Laço"],
  mute: ["Mute {name}", "Silenciar {name}", "Silenciar {name}"],
  play: ["Play or pause", "Reproducir o pausar", "Reproduzir ou pausar"],
  solo: ["Solo {name}", "Solo {name}", "Solo {name}"],
  speed: ["Speed", "Velocidad", "Velocidade"],
  stems: ["Instruments", "Instrumentos", "Instrumentos"],
  tap: ["Tap", "Toque", "Toque"],
  timeline: ["Time line of the recording", "Línea de tiempo de la grabación", "Linha do tempo da gravação"],
};

export const PLAYER_TEXTS = {
  ...SHARED_TEXTS,
  calibrating: ["Tap T with each of the sixteen clicks.", "Toque T con cada uno de los dieciséis clics.", "Toque T com cada um dos dezesseis cliques."],
  cannotPlay: ["This player could not be loaded: {problem}. Opened from a disk, pages need a web server, or a page that levada saved as one file.", "No se pudo cargar este reproductor: {problem}. Desde el disco hace falta un servidor web, o una página que levada guardó en un solo archivo.", "Não foi possível carregar este reprodutor: {problem}. A partir do disco é preciso um servidor web, ou uma página que o levada salvou num só arquivo."],
  clearTaps: ["Clear taps", "Borrar toques", "Apagar toques"],
  keys: ["Keys", "Teclas", "Teclas"],
  keysHow: ["Space plays and pauses, Esc stops, T taps, X changes the beats, L loops, ← → move by 2 s, [ ] slower and faster, C clicks, + − zoom; the wheel scrolls, with Ctrl it zooms.", "Espacio reproduce y pausa, Esc detiene, T toca, X cambia los pulsos, L repite, ← → mueven 2 s, [ ] más lento y más rápido, C clics, + − acercan; la rueda desplaza, con Ctrl acerca.", "Espaço reproduz e pausa, Esc para, T toca, X troca os pulsos, L repete, ← → movem 2 s, [ ] mais lento e mais rápido, C cliques, + − ampliam; a roda desloca, com Ctrl amplia."],
  layers: ["Beats with clicks", "Pulsos con clics", "Pulsos com cliques"],
  loading: ["Loading…", "Cargando…", "Carregando…"],
  score: ["{taps} taps against {labels} beats of “{name}”: F {f} (±70 ms), mean offset {mean} ms, spread {spread} ms", "{taps} toques frente a {labels} pulsos de «{name}»: F {f} (±70 ms), desvío medio {mean} ms, dispersión {spread} ms", "{taps} toques contra {labels} pulsos de “{name}”: F {f} (±70 ms), desvio médio {mean} ms, dispersão {spread} ms"],
  scoreLag: ["lag of {lag} ms corrected", "retardo de {lag} ms corregido", "atraso de {lag} ms corrigido"],
  scoreUncalibrated: ["not calibrated", "sin calibrar", "sem calibrar"],
  taps: ["taps", "toques", "toques"],
  zoomIn: ["Zoom in", "Acercar", "Ampliar"],
  zoomOut: ["Zoom out", "Alejar", "Reduzir"],
};

export function translate(texts, language, name, values = {}) {
  const found = texts[name]?.[LANGUAGES.indexOf(language)] ?? name;
  return found.replace(/\{(\w+)\}/g, (_, key) => values[key] ?? "");
}
