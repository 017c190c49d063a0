// Keeps a page up to date: when a status changes, the page is fetched again and its main part replaced.
'use strict'

const live = document.getElementById('live')
let planned

async function refresh() {
  planned = undefined
  const response = await fetch(location.href, { headers: { accept: 'text/html' } })
  if (!response.ok) return
  const page = new DOMParser().parseFromString(await response.text(), 'text/html')
  const [now, then] = [document.getElementById('main'), page.getElementById('main')]
  if (then === null || now.innerHTML === then.innerHTML) return
  // Whoever uses a keyboard stays where they are.
  const focused = document.activeElement?.getAttribute('href')
  now.replaceChildren(...then.childNodes)
  if (focused) now.querySelector(`[href="${CSS.escape(focused)}"]`)?.focus()
}

function soon() {
  planned ??= setTimeout(() => refresh().catch(() => {}), 150)
}

const stream = document.getElementById('main').dataset.stream
if (stream) {
  const source = new EventSource(stream)
  source.addEventListener('status', soon)
  source.addEventListener('open', () => {
    live.textContent = 'live'
    soon()
  })
  source.addEventListener('error', () => (live.textContent = 'reconnecting'))
  // Ages grow without any event.
  setInterval(soon, 30_000)
}
