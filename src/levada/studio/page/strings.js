// Every text of the page, in English, Spanish and Portuguese. {name} is filled in.

import { LANGUAGES, SHARED_TEXTS, translate } from "./texts.js";

const TEXTS = {
  ...SHARED_TEXTS,
  accept: ["Accept", "Aceptar", "Aceitar"],
  again: ["Second look", "Segunda mirada", "Segunda olhada"],
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
  keptEnough: ["Learning again no longer helps: tap what is left, or correct it by hand.", "Aprender otra vez ya no ayuda: toque lo que queda, o corríjalo a mano.", "Aprender de novo já não ajuda: marque o que resta, ou corrija à mão."],
  language: ["Language", "Idioma", "Idioma"],
  learn: ["Learn", "Aprender", "Aprender"],
  learnt: ["Accepted: the recording has the new beats.", "Aceptado: la grabación tiene los pulsos nuevos.", "Aceito: a gravação tem os pulsos novos."],
  metre: ["beats a bar", "pulsos por compás", "tempos por compasso"],
  moveHere: ["Move here", "Mover aquí", "Mover para cá"],
  nextDone: ["Press N for the next uncertain bar, listen, correct it, V to verify. Ctrl S saves.", "N va al próximo compás dudoso: escuche, corrija, V verifica. Ctrl S guarda.", "N vai ao próximo compasso incerto: ouça, corrija, V verifica. Ctrl S salva."],
  nextCalibrate: ["Play the first bars. Clicks right: V. Half, double, half a beat late, another downbeat: H, D, O or B. Else calibrate once and tap along.", "Reproduzca los primeros compases. Clics bien: V. Mitad, doble, medio pulso tarde, otro tiempo 1: H, D, O o B. Si no, calibre una vez y toque el pulso.", "Reproduza os primeiros compassos. Cliques certos: V. Metade, dobro, meio pulso atrasado, outro tempo 1: H, D, O ou B. Senão, calibre uma vez e marque o pulso."],
  nextCheck: ["N goes to the least certain bar: listen, V if it is right. If not, correct it, and Enter learns from all that is verified.", "N va al compás más dudoso: escuche, V si está bien. Si no, corríjalo, y Enter aprende de todo lo verificado.", "N vai ao compasso mais incerto: ouça, V se está certo. Senão, corrija, e Enter aprende de tudo o que foi verificado."],
  nextEnough: ["{n} uncertain bars in a row were right: enough for this recording. R plays verified beats that look wrong once more, F the rest faster; Ctrl S saves.", "{n} compases dudosos seguidos estaban bien: alcanza para esta grabación. R repite los pulsos verificados que parecen mal, F el resto más rápido; Ctrl S guarda.", "{n} compassos incertos seguidos estavam certos: basta para esta gravação. R repete os pulsos verificados que parecem errados, F o resto mais rápido; Ctrl S salva."],
  nextLearn: ["Enough to learn from, if a bar has {metre} beats: Enter learns the pattern and finds the rest.", "Alcanza para aprender, si el compás tiene {metre} pulsos: Enter aprende el patrón y encuentra el resto.", "Basta para aprender, se o compasso tem {metre} tempos: Enter aprende o padrão e encontra o resto."],
  nextDownbeat: ["Now say where the bar begins: select its first beat (← →), press B, and choose its number of beats.", "Ahora, dónde empieza el compás: elija su primer pulso (← →), toque B y elija cuántos pulsos tiene.", "Agora, onde começa o compasso: escolha o primeiro pulso dele (← →), toque B e escolha quantos tempos tem."],
  nextProposal: ["Listen to the new beats (violet). Enter accepts them, Esc refuses.", "Escuche los pulsos nuevos (violeta). Enter acepta, Esc rechaza.", "Ouça os pulsos novos (violeta). Enter aceita, Esc recusa."],
  nextMore: ["Tap a few bars on another recording too, and learn again: one recording does not teach the downbeats of others.", "Toque unos compases en otra grabación también y aprenda otra vez: una sola no enseña los tiempos 1 de las demás.", "Toque alguns compassos em outra gravação também e aprenda de novo: uma só não ensina os tempos 1 das outras."],
  nextTap: ["Play and tap T with the beat (1 to 9 with its position): {n} of {enough}.", "Reproduzca y toque T con el pulso (1 a 9 con su posición): {n} de {enough}.", "Reproduza e toque T com o pulso (1 a 9 com a posição): {n} de {enough}."],
  nextWait: ["The beats are being found ({done}). You can listen already; taps are kept until then.", "Se están buscando los pulsos ({done}). Ya puede escuchar; lo que marque se guarda hasta entonces.", "Os pulsos estão sendo procurados ({done}). Já pode ouvir; o que marcar fica guardado até lá."],
  noBars: ["Nothing uncertain is left that was not visited.", "No queda nada dudoso sin visitar.", "Não resta nada incerto por visitar."],
  noSuspects: ["No verified beat looks wrong.", "Ningún pulso verificado parece mal.", "Nenhum pulso verificado parece errado."],
  nothingLeft: ["Every beat is verified.", "Todos los pulsos están verificados.", "Todos os pulsos estão verificados."],
  suspect_missing: ["Is a beat missing here? {left} more to look at.", "¿Falta un pulso aquí? Quedan {left} por mirar.", "Falta um pulso aqui? Restam {left} por olhar."],
  suspect_model: ["The model has this beat elsewhere. {left} more to look at.", "El modelo tiene este pulso en otro lugar. Quedan {left} por mirar.", "O modelo tem este pulso em outro lugar. Restam {left} por olhar."],
  suspect_position: ["The model counts this beat otherwise. {left} more to look at.", "El modelo cuenta este pulso de otra manera. Quedan {left} por mirar.", "O modelo conta este pulso de outra maneira. Restam {left} por olhar."],
  suspect_uneven: ["This beat is not between its neighbours. {left} more to look at.", "Este pulso no está entre sus vecinos. Quedan {left} por mirar.", "Este pulso não está entre os vizinhos. Restam {left} por olhar."],
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
  rest: ["The rest, faster", "El resto, más rápido", "O resto, mais rápido"],
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
  working_compare: ["comparing with patterns", "comparando con patrones", "comparando com padrões"],
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
  key_again: ["listen once more to verified beats that look wrong", "oír otra vez los pulsos verificados que parecen mal", "ouvir de novo os pulsos verificados que parecem errados"],
  key_rest: ["play what is not verified at 1.5 times the speed; V verifies it", "reproducir lo no verificado a 1,5 veces la velocidad; V lo verifica", "reproduzir o não verificado a 1,5 vez a velocidade; V o verifica"],
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
