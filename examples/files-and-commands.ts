// Commands and files in the default guest, and what can go wrong with them.
import { AgentError, ExecTimeoutError } from "lguest";
import { launch } from "lguest/node";

// Stopped at the end, whatever happens.
const guest = await launch({ memoryBytes: 128 << 20 });
try {
	await guest.writeFile("/tmp/list", "pear\napple\nfig\n");
	const sorted = await guest.exec(["sort", "/tmp/list"]);
	console.log(sorted.stdoutText);

	// A status other than 0 is a result, not an error.
	const { exitCode, stderrText } = await guest.exec("ls /nowhere");
	console.log(`ls ended with ${exitCode}: ${stderrText}`);

	// Streams, for what is long or never ends.
	const counting = await guest.spawn(
		"i=0; while true; do echo $((i += 1)); done",
	);
	const reader = counting.stdout.getReader();
	const { value } = await reader.read();
	console.log(`it counts: ${new TextDecoder().decode(value).slice(0, 8)}`);
	counting.close();

	try {
		await guest.exec("sleep 60", { timeoutMs: 500 });
	} catch (error) {
		if (error instanceof ExecTimeoutError) console.log(error.message);
	}
	try {
		await guest.exec(["no-such-command"]);
	} catch (error) {
		if (error instanceof AgentError) console.log(error.code, error.message);
	}
} finally {
	await guest.stop();
}
