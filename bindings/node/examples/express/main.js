// Starts so many workers as are wanted, which share one port and one journal, and starts those anew that die.

import cluster from 'node:cluster'
import { availableParallelism } from 'node:os'

if (cluster.isPrimary) {
  const workers = Number(process.env.BRAIN_WORKERS ?? availableParallelism())
  let stopping = false
  for (let n = 0; n < workers; n++) cluster.fork()
  cluster.on('exit', (worker, code) => {
    if (stopping || worker.exitedAfterDisconnect) return
    // A worker that cannot even start will not by being started again and again.
    if (code === 78) process.exit(code)
    cluster.fork()
  })
  for (const signal of ['SIGINT', 'SIGTERM']) {
    process.on(signal, () => {
      stopping = true
      for (const worker of Object.values(cluster.workers)) worker.process.kill('SIGTERM')
    })
  }
} else {
  await import('./service.js')
}
