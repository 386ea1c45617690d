// A charge point on npm ocpp-rpc in strict mode: both directions are checked against the schemas of OCPP 1.6, and
// whatever does not fit is told. Orders come as JSON lines on stdin, what happens goes out as JSON lines on stdout.

import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';

const require = createRequire(process.env.PEER_MODULES + '/');
const { RPCClient } = require('ocpp-rpc');
const [endpoint, identity, password] = process.argv.slice(2);

const tell = (event, body = {}) => process.stdout.write(JSON.stringify({ event, ...body }) + '\n');

const box = new RPCClient({
    endpoint,
    identity,
    password,
    protocols: ['ocpp1.6'],
    strictMode: true,
    callTimeoutMs: 10000,
    reconnect: false,
});
box.on('strictValidationFailure', ({ error }) => tell('misfit', { message: String(error.message) }));
box.on('badMessage', ({ error }) => tell('misfit', { message: String(error?.message) }));
box.on('close', () => tell('closed'));

const settings = {
    NumberOfConnectors: '1',
    ChargeProfileMaxStackLevel: '3',
    ChargingScheduleAllowedChargingRateUnit: 'Current',
    MeterValuesSampledData: 'Energy.Active.Import.Register',
    MeterValueSampleInterval: '0',
};
const heard = (method, params) => tell('heard', { method, params });

box.handle('GetConfiguration', ({ params }) => {
    heard('GetConfiguration', params);
    return {
        configurationKey: params.key
            .filter((key) => key in settings)
            .map((key) => ({ key, readonly: false, value: settings[key] })),
        unknownKey: params.key.filter((key) => !(key in settings)),
    };
});
box.handle('ChangeConfiguration', ({ params }) => {
    heard('ChangeConfiguration', params);
    settings[params.key] = params.value;
    return { status: 'Accepted' };
});
for (const method of ['SetChargingProfile', 'RemoteStartTransaction', 'RemoteStopTransaction']) {
    box.handle(method, ({ params }) => {
        heard(method, params);
        return { status: 'Accepted' };
    });
}
// TriggerMessage has no handler on purpose: ocpp-rpc answers NotImplemented.

await box.connect();
tell('connected');

for await (const line of createInterface({ input: process.stdin })) {
    const { method, params } = JSON.parse(line);
    try {
        tell('answer', { method, answer: await box.call(method, params) });
    } catch (error) {
        tell('error', { method, message: String(error.message) });
    }
}
await box.close();
