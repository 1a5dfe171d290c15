// The server of y-websocket, as its own command starts it, on the `ws` and `y-leveldb` of the folder that it is given:
// node y_websocket.mjs FOLDER PORT [DATABASE]
import { createServer } from 'node:http'
import { createRequire } from 'node:module'

const [folder, port, database] = process.argv.slice(2)
const require = createRequire(`${folder}/package.json`)
const { WebSocketServer } = require('ws')
const Y = require('yjs')
const { setPersistence, setupWSConnection } = require('y-websocket/bin/utils')

if (database) {
  const { LeveldbPersistence } = require('y-leveldb')
  const leveldb = new LeveldbPersistence(database)
  // As y-websocket binds it where YPERSISTENCE is set.
  setPersistence({
    provider: leveldb,
    bindState: async (name, document) => {
      const stored = await leveldb.getYDoc(name)
      leveldb.storeUpdate(name, Y.encodeStateAsUpdate(document))
      Y.applyUpdate(document, Y.encodeStateAsUpdate(stored))
      document.on('update', update => { leveldb.storeUpdate(name, update) })
    },
    writeState: async () => {}
  })
}

const sockets = new WebSocketServer({ noServer: true, perMessageDeflate: false })
sockets.on('connection', setupWSConnection)
const server = createServer((_, response) => { response.end('okay') })
server.on('upgrade', (request, socket, head) => {
  sockets.handleUpgrade(request, socket, head, opened => sockets.emit('connection', opened, request))
})
server.listen({ port: Number(port), host: '127.0.0.1', backlog: 4096 })
