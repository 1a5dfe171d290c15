// rxdb-server on its storage in memory: node rxdb_server.mjs FOLDER_OF_PACKAGES PORT
import { createRequire } from 'node:module';
import { join } from 'node:path';

const [packages, port] = process.argv.slice(2);
const require = createRequire(join(packages, 'package.json'));
const { createRxDatabase } = require('rxdb');
const { getRxStorageMemory } = require('rxdb/plugins/storage-memory');
const { createRxServer } = require('rxdb-server/plugins/server');
const { RxServerAdapterExpress } = require('rxdb-server/plugins/adapter-express');

const database = await createRxDatabase({ name: 'bench', storage: getRxStorageMemory(), multiInstance: false });
const { notes } = await database.addCollections({
  notes: {
    schema: {
      version: 0,
      primaryKey: 'id',
      type: 'object',
      properties: {
        id: { type: 'string', maxLength: 100 },
        rank: { type: 'integer' },
        done: { type: 'boolean' },
        tag: { type: 'string' },
        text: { type: 'string' },
      },
    },
  },
});
const server = await createRxServer({
  database,
  adapter: RxServerAdapterExpress,
  hostname: '127.0.0.1',
  port: Number(port),
});
server.addReplicationEndpoint({ name: 'notes', collection: notes });
await server.start();
