// Every text of the page, in English, Spanish and Portuguese. {name} is filled in.

import { LANGUAGES, SHARED_TEXTS, translate } from "./texts.js";

const TEXTS = {
  ...SHARED_TEXTS,
  accept: ["Accept", "Aceptar", "Aceitar"],
  after: ["after", "después", "depois"],
  agreementF: ["beats in common, F (70 ms)", "pulsos en común, F (70 ms)", "pulsos em comum, F (70 ms)"],
  annotator: ["Annotator", "Quién anota", "Quem anota"],
  apply: ["Apply to all {n} recordings", "Aplicar a las {n} grabaciones", "Aplicar às {n} gravações"],
  asynchrony: ["asynchrony, median", "asincronía, mediana", "assincronia, mediana"],
  audition: ["play the new beats", "oír los pulsos nuevos", "ouvir os pulsos novos"],
  away: ["The server does not answer. Your edits wait in this page.", "El servidor no responde. Los cambios esperan en esta página.", "O servidor não responde. As alterações esperam nesta página."],
  before: ["before", "antes", "antes"],
  beats: ["beats", "pulsos", "pulsos"],
  cancel: ["Cancel", "Cancelar", "Cancelar"],
  certainty: ["certainty of positions", "certeza de posiciones", "certeza das posições"],
  close: ["Close", "Cerrar", "Fechar"],
  compare: ["Compare annotators", "Comparar anotadores", "Comparar anotadores"],
  deleteEdit: ["Delete", "Borrar", "Apagar"],
  double: ["Double", "Doble", "Dobro"],
  downbeat: ["Downbeat", "Tiempo 1", "Tempo 1"],
  edits: ["Edits", "Cambios", "Alterações"],
  facts: ["{bpm} bpm · {verified} of {beats} beats verified", "{bpm} bpm · {verified} de {beats} pulsos verificados", "{bpm} bpm · {verified} de {beats} pulsos verificados"],
  format: ["Format", "Formato", "Formato"],
  half: ["Half", "Mitad", "Metade"],
  insert: ["Insert", "Insertar", "Inserir"],
  keys: ["Keys", "Teclas", "Teclas"],
  kept: ["every edit is saved at once in {where}", "cada cambio se guarda al instante en {where}", "cada alteração é salva na hora em {where}"],
  keptShares: ["left as the model placed them: {shares}", "quedaron como los puso el modelo: {shares}", "ficaram como o modelo os colocou: {shares}"],
  keptEnough: ["Learning again no longer helps: correct what is left by hand.", "Aprender otra vez ya no ayuda: corrija a mano lo que queda.", "Aprender de novo já não ajuda: corrija à mão o que resta."],
  language: ["Language", "Idioma", "Idioma"],
  learn: ["Learn", "Aprender", "Aprender"],
  learnt: ["Accepted: the recording has the new beats.", "Aceptado: la grabación tiene los pulsos nuevos.", "Aceito: a gravação tem os pulsos novos."],
  metre: ["beats a bar", "pulsos por compás", "tempos por compasso"],
  moveHere: ["Move here", "Mover aquí", "Mover para cá"],
  nextDone: ["Press N for the next uncertain bar, listen, correct it, V to verify. Ctrl S saves.", "N va al próximo compás dudoso: escuche, corrija, V verifica. Ctrl S guarda.", "N vai ao próximo compasso incerto: ouça, corrija, V verifica. Ctrl S salva."],
  nextCalibrate: ["Press play. If the clicks are right, nothing needs doing; else calibrate once, then tap along.", "Reproduzca. Si los clics están bien, no hay nada que hacer; si no, calibre una vez y toque el pulso.", "Reproduza. Se os cliques estão certos, não há nada a fazer; senão, calibre uma vez e marque o pulso."],
  nextLearn: ["Enough to learn from, if a bar has {metre} beats: Enter learns the pattern and finds the rest.", "Alcanza para aprender, si el compás tiene {metre} pulsos: Enter aprende el patrón y encuentra el resto.", "Basta para aprender, se o compasso tem {metre} tempos: Enter aprende o padrão e encontra o resto."],
  nextDownbeat: ["Now say where the bar begins: select its first beat (← →), press B, and choose its number of beats.", "Ahora, dónde empieza el compás: elija su primer pulso (← →), toque B y elija cuántos pulsos tiene.", "Agora, onde começa o compasso: escolha o primeiro pulso dele (← →), toque B e escolha quantos tempos tem."],
  nextProposal: ["Listen to the new beats (violet). Enter accepts them, Esc refuses.", "Escuche los pulsos nuevos (violeta). Enter acepta, Esc rechaza.", "Ouça os pulsos novos (violeta). Enter aceita, Esc recusa."],
  nextMore: ["Tap a few bars on another recording too, and learn again: one recording does not teach the downbeats of others.", "Toque unos compases en otra grabación también y aprenda otra vez: una sola no enseña los tiempos 1 de las demás.", "Toque alguns compassos em outra gravação também e aprenda de novo: uma só não ensina os tempos 1 das outras."],
  nextTap: ["Play and tap T with the beat (1 to 9 with its position): {n} of 16.", "Reproduzca y toque T con el pulso (1 a 9 con su posición): {n} de 16.", "Reproduza e toque T com o pulso (1 a 9 com a posição): {n} de 16."],
  nextWait: ["The beats are being found ({done}). You can listen already; taps are kept until then.", "Se están buscando los pulsos ({done}). Ya puede escuchar; lo que marque se guarda hasta entonces.", "Os pulsos estão sendo procurados ({done}). Já pode ouvir; o que marcar fica guardado até lá."],
  noBars: ["Nothing uncertain is left that was not visited.", "No queda nada dudoso sin visitar.", "Não resta nada incerto por visitar."],
  notVerified: ["not verified", "sin verificar", "não verificado"],
  offbeat: ["Half a beat", "Medio pulso", "Meio pulso"],
  onlyVerified: ["verified beats only", "solo pulsos verificados", "só pulsos verificados"],
  order: ["least certain first", "primero las más dudosas", "primeiro as mais incertas"],
  position: ["position", "posición", "posição"],
  positionsSame: ["same position", "misma posición", "mesma posição"],
  proposal: ["What was learnt", "Lo aprendido", "O que foi aprendido"],
  recordings: ["Recordings", "Grabaciones", "Gravações"],
  redo: ["Redo", "Rehacer", "Refazer"],
  refuse: ["Refuse", "Rechazar", "Recusar"],
  replace: ["Replace the file", "Reemplazar el archivo", "Substituir o arquivo"],
  save: ["Save", "Guardar", "Salvar"],
  saveAll: ["all recordings with verified beats", "todas las grabaciones con pulsos verificados", "todas as gravações com pulsos verificados"],
  saved: ["Written: {names}", "Guardado: {names}", "Salvo: {names}"],
  ensemble: ["Who plays", "Quién toca", "Quem toca"],
  separate: ["Separate", "Separar", "Separar"],
  separateHow: ["Every instrument becomes a stem with its own level, for this recording and in this page; it takes about as long as the recording.", "Cada instrumento pasa a ser una pista con su propio nivel, para esta grabación y en esta página; tarda más o menos lo que dura la grabación.", "Cada instrumento vira uma faixa com seu próprio volume, para esta gravação e nesta página; demora mais ou menos o que dura a gravação."],
  working_separate: ["separating", "separando", "separando"],
  writeMix: ["Write this mix", "Escribir esta mezcla", "Escrever esta mixagem"],
  skip: ["To the time line", "A la línea de tiempo", "À linha do tempo"],
  start: ["Start", "Empezar", "Começar"],
  stillAnalysing: ["being analysed", "en análisis", "em análise"],
  strategy_auto: ["patterns and network", "patrones y red", "padrões e rede"],
  strategy_bayes: ["patterns", "patrones", "padrões"],
  takeOther: ["take {name}'s", "tomar lo de {name}", "usar o de {name}"],
  tempo: ["tempo", "tempo", "andamento"],
  theme: ["Light or dark", "Claro u oscuro", "Claro ou escuro"],
  transport: ["Playback", "Reproducción", "Reprodução"],
  uncertain: ["Next uncertain bar", "Próximo compás dudoso", "Próximo compasso incerto"],
  undo: ["Undo", "Deshacer", "Desfazer"],
  verified: ["verified", "verificado", "verificado"],
  verifiedOf: ["{verified} of {beats} verified", "{verified} de {beats} verificados", "{verified} de {beats} verificados"],
  verify: ["Verify", "Verificar", "Verificar"],
  working_learn: ["learning", "aprendiendo", "aprendendo"],
  working_analyse: ["analysing", "analizando", "analisando"],
  working_apply: ["tracking all recordings", "siguiendo todas las grabaciones", "rastreando todas as gravações"],
  working_load: ["loading the model", "cargando el modelo", "carregando o modelo"],
  key_space: ["play, pause; Esc stops and goes back", "reproducir, pausar; Esc detiene y vuelve", "reproduzir, pausar; Esc para e volta"],
  key_tap: ["tap a beat; with its position in the bar", "tocar un pulso; con su posición en el compás", "marcar um pulso; com sua posição no compasso"],
  key_arrows: ["previous, next beat", "pulso anterior, siguiente", "pulso anterior, seguinte"],
  key_nudge: ["move the beat by 5 ms (with Shift 1 ms)", "mover el pulso 5 ms (con Mayús 1 ms)", "mover o pulso 5 ms (com Shift 1 ms)"],
  key_move: ["move the nearest beat here", "mover aquí el pulso más cercano", "mover para cá o pulso mais próximo"],
  key_delete: ["delete, insert a beat", "borrar, insertar un pulso", "apagar, inserir um pulso"],
  key_offbeat: ["shift by half a beat, up to the next verified one", "correr medio pulso, hasta el próximo verificado", "deslocar meio pulso, até o próximo verificado"],
  key_half: ["half, double, up to the next verified beat", "mitad, doble, hasta el próximo verificado", "metade, dobro, até o próximo verificado"],
  key_downbeat: ["this is the downbeat", "este es el tiempo 1", "este é o tempo 1"],
  key_verify: ["verify what was played, up to here", "verificar lo reproducido, hasta aquí", "verificar o que foi tocado, até aqui"],
  key_loop: ["loop two bars", "repetir dos compases", "repetir dois compassos"],
  key_speed: ["slower, faster", "más lento, más rápido", "mais lento, mais rápido"],
  key_clicks: ["level of the clicks", "nivel de los clics", "volume dos cliques"],
  key_zoom: ["zoom; the wheel scrolls, with Ctrl it zooms", "acercar; la rueda desplaza, con Ctrl acerca", "ampliar; a roda desloca, com Ctrl amplia"],
  key_learn: ["learn from the verified beats; accept", "aprender de los pulsos verificados; aceptar", "aprender dos pulsos verificados; aceitar"],
  key_undo: ["undo, redo, save", "deshacer, rehacer, guardar", "desfazer, refazer, salvar"],
};

let language = LANGUAGES.find((one) => one === (localStorage.getItem("levada-language") || navigator.language.slice(0, 2))) ?? "en";

export const current = () => language;

export function choose(name) {
  language = name;
  localStorage.setItem("levada-language", name);
  show();
}

export const text = (name, values) => translate(TEXTS, language, name, values);

// Fill every element that names its text, with the key that does the same.
export function show(root = document) {
  document.documentElement.lang = language;
  for (const one of root.querySelectorAll("[data-text]")) one.textContent = text(one.dataset.text);
  for (const one of root.querySelectorAll("[data-label]")) {
    one.setAttribute("aria-label", text(one.dataset.label));
    one.title = text(one.dataset.label);
  }
  for (const one of root.querySelectorAll("button[data-key]")) {
    const name = one.dataset.edit === "delete" ? "deleteEdit" : one.dataset.edit ?? one.id;
    const key = document.createElement("kbd");
    key.textContent = one.dataset.key;
    key.setAttribute("aria-hidden", "true");
    one.replaceChildren(text(name), key);
    one.setAttribute("aria-keyshortcuts", one.dataset.key.replace("Ctrl ", "Control+").replace("Del", "Delete"));
  }
}

export const missing = () => Object.entries(TEXTS).filter(([, all]) => all.length !== LANGUAGES.length || all.some((one) => !one)).map(([name]) => name);
