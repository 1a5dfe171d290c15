// Hocuspocus with what it does by default: node hocuspocus.mjs FOLDER PORT [DATABASE]
import { createRequire } from 'node:module'

const [folder, port, database] = process.argv.slice(2)
const require = createRequire(`${folder}/package.json`)
const { Server } = require('@hocuspocus/server')
const extensions = []
if (database) {
  const { SQLite } = require('@hocuspocus/extension-sqlite')
  // Since Node 24.19, better-sqlite3 below 13 ends the process when a statement is collected as garbage, and the
  // extension prepares one for each use. Here each is prepared once and kept, which costs it less, not more.
  class Kept extends SQLite {
    async onConfigure () {
      await super.onConfigure()
      const prepare = this.db.prepare.bind(this.db)
      const statements = new Map()
      this.db.prepare = sql => {
        if (!statements.has(sql)) statements.set(sql, prepare(sql))
        return statements.get(sql)
      }
    }
  }
  extensions.push(new Kept({ database }))
}
const server = new Server({ port: Number(port), address: '127.0.0.1', quiet: true, extensions })
await server.listen()
