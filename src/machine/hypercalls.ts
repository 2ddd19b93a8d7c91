/**
 * What of the lguest ABI an unmodified kernel on the `pc` machine can use: a
 * CPUID leaf that says where the descriptor page is, and two hypercalls, by
 * VMCALL and in the registers of Linux 2.6.30 and later (docs/lguest-bus.md).
 * The paravirtual kernels that lguest was made for meet the whole of it.
 *
 * | EAX          | EBX                  | ECX          |                       |
 * | ------------ | -------------------- | ------------ | --------------------- |
 * | 2, SHUTDOWN  | address of a message | 1 or 2       | power off, or restart |
 * | 17, NOTIFY   | address              | bytes, or 0  | look there            |
 *
 * No register changes. Since the guest also finds KVM's signature, whatever else
 * it calls is answered as KVM answers what it does not know.
 *
 * Relies on the CPU's state; the machine relies on it.
 *
 * @journey D:194 A call to the hypervisor
 */

import { type CpuidLeaf, fields, type StateView } from "../cpu/index.ts";
import {
	LGUEST_PAGE_BYTES,
	LGUEST_SHUTDOWN_POWEROFF,
	LGUEST_SHUTDOWN_RESTART,
	LHCALL_NOTIFY,
	LHCALL_SHUTDOWN,
} from "../lguest/abi.ts";

/** Who hears the calls. */
export interface HypercallListener {
	/** False: it means nothing to anybody, which is no harm. */
	readonly notify: (address: number, lengthBytes: number) => boolean;
	readonly shutDown: (kind: "poweroff" | "reset") => void;
}

const EAX = 0;
const ECX = 1;
const EBX = 3;

/** EAX of the leaf, bit 0: there is a descriptor page. */
const HAS_DESCRIPTOR_PAGE = 1;

/** The leaf behind the signature: features, page frame, page frames from there. */
export function lguestLeaf(
	pageAddress: number,
	lengthBytes: number,
): CpuidLeaf {
	return [
		HAS_DESCRIPTOR_PAGE,
		pageAddress / LGUEST_PAGE_BYTES,
		lengthBytes / LGUEST_PAGE_BYTES,
		0,
	];
}

/** False: there is no such call. */
export function answerHypercall(
	state: StateView,
	listener: HypercallListener,
): boolean {
	if (state.get32(fields.CPL) !== 0) return false;
	const argument1 = state.get32(fields.GPR, EBX) >>> 0;
	const argument2 = state.get32(fields.GPR, ECX) >>> 0;
	switch (state.get32(fields.GPR, EAX)) {
		case LHCALL_NOTIFY:
			listener.notify(argument1, argument2);
			return true;
		case LHCALL_SHUTDOWN:
			return shutDown(argument2, listener);
		default:
			return false;
	}
}

/** Results of KVM (Linux 6.1, `uapi/linux/kvm_para.h`). */
const KVM_ENOSYS = 1000;
const KVM_EPERM = 1;

/** No such call; only the kernel may try any. */
export function refuseHypercall(state: StateView): void {
	const mayCall = state.get32(fields.CPL) === 0;
	state.set32(fields.GPR, mayCall ? -KVM_ENOSYS : -KVM_EPERM, EAX);
}

function shutDown(reason: number, listener: HypercallListener): boolean {
	if (reason === LGUEST_SHUTDOWN_POWEROFF) listener.shutDown("poweroff");
	else if (reason === LGUEST_SHUTDOWN_RESTART) listener.shutDown("reset");
	else return false;
	return true;
}
