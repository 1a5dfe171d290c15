// express-pouchdb on LevelDB: node pouchdb_server.mjs FOLDER_OF_PACKAGES FOLDER_OF_DATA PORT
import { createRequire } from 'node:module';
import { join } from 'node:path';

const [packages, data, port] = process.argv.slice(2);
const require = createRequire(join(packages, 'package.json'));
const express = require('express');
const PouchDB = require('pouchdb').defaults({ prefix: join(data, 'pouch-') });

const app = express();
app.use(
  require('express-pouchdb')(PouchDB, {
    mode: 'minimumForPouchDB',
    inMemoryConfig: true,
    logPath: join(data, 'requests.log'),
  }),
);
app.listen(Number(port), '127.0.0.1');
