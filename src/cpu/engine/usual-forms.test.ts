import { expect, it } from "vitest";
import { decodedFeatures } from "../decoded-features.ts";
import { CpuIdentity } from "../system/cpuid.ts";
import { formKey } from "./form.ts";
import { inlineForms } from "./inline-forms.ts";
import { usualForms } from "./usual-forms.ts";

it("no form is among the inline and the usual ones twice", () => {
	const features = decodedFeatures(new CpuIdentity());
	const forms = [...inlineForms(features), ...usualForms(features)];
	const keys = forms.map(({ instruction, mode }) => formKey(instruction, mode));
	expect(new Set(keys).size).toBe(keys.length);
});
